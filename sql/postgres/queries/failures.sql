-- Grain: a failing probe of an active account (billing_period is null), or a failing slice of one. By account, probes first, then newest
-- periods first; a null filter selects all. A month whose source has changed since it failed waits for nothing: its retry_at is null.
SELECT customer_id, provider, account_id, billing_period, message, fault, since, retry_at, failures
FROM optiinfra.accounts
CROSS JOIN LATERAL (
    SELECT
        billing_period, error AS message, fault, failed_since AS since,
        CASE WHEN coalesce(failed_token, seen_token) IS NOT DISTINCT FROM seen_token THEN retry_at END AS retry_at,
        failures
    FROM optiinfra.slice_state
    WHERE slice_state.account_id = accounts.account_id AND is_failing
    UNION ALL
    SELECT
        NULL,
        last_error,
        coalesce(last_error_fault, 'platform'),
        coalesce(last_error_since, probe_tried_at, created_at),
        probe_not_before,
        NULL
    WHERE last_error IS NOT NULL
) AS failed
WHERE status = 'active'
    -- include: slice_filters
ORDER BY account_id, billing_period DESC NULLS FIRST
