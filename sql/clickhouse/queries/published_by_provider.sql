-- Grain: provider, over all customers. Source: publications. For: /metrics.
-- behind: of each account the latest instant that its data are complete to, of these the earliest; null if none is known.
SELECT
    provider,
    sum(published) AS generations,
    toUnixTimestamp(min(through)) AS behind
FROM
(
    SELECT provider, account_id, count() AS published, max(data_through) AS through
    FROM publications
    GROUP BY provider, account_id
)
GROUP BY provider
