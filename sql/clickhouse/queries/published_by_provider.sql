-- Grain: provider, over all customers. Source: publications, archived ones too. For: /metrics.
-- behind: the earliest, over the accounts, of the latest instant that an account's data are complete to; null if none is known.
SELECT
    provider,
    sum(published) AS generations,
    toUnixTimestamp(min(through)) AS behind
FROM
(
    SELECT provider, account_id, count() AS published, max(data_through) AS through
    FROM
    (
        SELECT provider, account_id, data_through FROM publications
        UNION ALL
        SELECT provider, account_id, data_through FROM archived_publications
        WHERE generation NOT IN (SELECT generation FROM publications) LIMIT 1 BY generation
    )
    GROUP BY provider, account_id
)
GROUP BY provider
