-- Open collections that people asked for, oldest first. is_current: it has not begun, or it began with what the
-- last probe saw, so that another one would read nothing else.
SELECT
    task_id,
    customer_id,
    provider,
    account_id,
    billing_period,
    accept_empty,
    started_at IS NULL OR tried_token IS NOT DISTINCT FROM seen_token AS is_current
FROM optiinfra.collection_history
LEFT JOIN optiinfra.slice_state USING (account_id, billing_period)
WHERE ended_at IS NULL
    AND trigger IN ('api', 'cli')
ORDER BY id
