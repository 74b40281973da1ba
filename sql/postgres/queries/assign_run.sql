-- Records which run will collect one slice of a task.
UPDATE optiinfra.collection_history
SET run_id = %(run_id)s
WHERE task_id = %(task_id)s
    AND account_id = %(account_id)s
    AND billing_period = %(billing_period)s
    AND ended_at IS NULL
