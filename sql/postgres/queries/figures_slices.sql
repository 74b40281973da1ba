-- Grain: provider. For /metrics: the last successful collection, and the uncollected changes, of active accounts.
SELECT
    provider,
    max(checked_at) AS last_success,
    count(*) FILTER (WHERE seen_token IS NOT NULL AND seen_token IS DISTINCT FROM collected_token) AS due,
    min(seen_at) FILTER (WHERE seen_token IS NOT NULL AND seen_token IS DISTINCT FROM collected_token) AS due_since
-- include: slices_of_active_accounts
GROUP BY provider
