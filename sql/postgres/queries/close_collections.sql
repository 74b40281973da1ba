-- Ends the open collections of a task.
UPDATE optiinfra.collection_history
SET status = %(status)s, ended_at = now(), error = %(error)s
WHERE ended_at IS NULL AND task_id = %(task_id)s
    AND (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
RETURNING id
