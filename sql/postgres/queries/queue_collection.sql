-- Queues one slice of a task.
INSERT INTO optiinfra.collection_history
    (task_id, trigger, customer_id, provider, account_id, billing_period, run_id, accept_empty, status)
VALUES (
    %(task_id)s,
    %(trigger)s,
    %(customer_id)s,
    %(provider)s,
    %(account_id)s,
    %(billing_period)s,
    %(run_id)s,
    %(accept_empty)s,
    'queued'
)
ON CONFLICT (task_id, account_id, billing_period) DO NOTHING
