-- One slice of a task is being collected from now, queued before or not. Started again, it is one attempt more.
INSERT INTO optiinfra.collection_history AS history
    (task_id, trigger, customer_id, provider, account_id, billing_period, run_id, status, started_at)
VALUES
    (%(task_id)s, %(trigger)s, %(customer_id)s, %(provider)s, %(account_id)s, %(billing_period)s, %(run_id)s, 'running', now())
ON CONFLICT (task_id, account_id, billing_period) DO UPDATE
SET run_id = excluded.run_id,
    status = 'running',
    attempt = CASE WHEN history.started_at IS NULL THEN 1 ELSE history.attempt + 1 END,
    started_at = coalesce(history.started_at, now()),
    ended_at = NULL,
    error = NULL
RETURNING id
