-- Conditions: one slice of a task that has not ended.
task_id = %(task_id)s
AND account_id = %(account_id)s
AND billing_period = %(billing_period)s
AND ended_at IS NULL
