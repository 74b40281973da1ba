-- Rows of the history that have not ended, oldest first.
SELECT
    id,
    task_id,
    trigger,
    customer_id,
    provider,
    account_id,
    billing_period,
    run_id,
    queued_at,
    started_at,
    ended_at,
    status,
    attempt,
    generation,
    rows,
    requests,
    request_cost,
    error
FROM optiinfra.collection_history
WHERE ended_at IS NULL
ORDER BY id
