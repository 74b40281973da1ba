-- Grain: provider. For /metrics: active accounts, those whose last probe failed, and the time of the oldest last probe.
SELECT
    provider,
    count(*) AS accounts,
    count(*) FILTER (WHERE last_error IS NOT NULL) AS failing,
    min(coalesce(last_probe_at, created_at)) AS oldest_probe
FROM optiinfra.accounts
WHERE status = 'active'
GROUP BY provider
