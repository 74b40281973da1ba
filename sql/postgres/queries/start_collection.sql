-- Starts the collection of one slice of a task, queued before or not. Starting it again counts one more attempt.
-- A row that has ended, or that another run started, stays unchanged. Returns one row with the id in any case.
WITH started AS (
    INSERT INTO optiinfra.collection_history AS history
        (task_id, trigger, customer_id, provider, account_id, billing_period, run_id, status, started_at)
    VALUES
        (%(task_id)s, %(trigger)s, %(customer_id)s, %(provider)s, %(account_id)s, %(billing_period)s, %(run_id)s, 'running', now())
    ON CONFLICT (task_id, account_id, billing_period) DO UPDATE
    SET run_id = excluded.run_id,
        status = 'running',
        attempt = CASE WHEN history.started_at IS NULL THEN 1 ELSE history.attempt + 1 END,
        started_at = coalesce(history.started_at, now()),
        error = NULL
    WHERE history.ended_at IS NULL AND (history.started_at IS NULL OR history.run_id = excluded.run_id)
    RETURNING id
), tried AS (
    UPDATE optiinfra.slice_state
    SET tried_token = seen_token
    WHERE account_id = %(account_id)s AND billing_period = %(billing_period)s AND EXISTS (SELECT FROM started)
)
SELECT id FROM started
UNION ALL
SELECT id
FROM optiinfra.collection_history
WHERE task_id = %(task_id)s
    AND account_id = %(account_id)s
    AND billing_period = %(billing_period)s
    AND NOT EXISTS (SELECT FROM started)
