-- End what dead runs, or a cancelled task, left open.
UPDATE optiinfra.collection_history
SET status = %(status)s, ended_at = now(), error = %(error)s
WHERE ended_at IS NULL AND (run_id = ANY (%(run_ids)s::text[]) OR task_id = %(task_id)s::text)
    AND (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
RETURNING id
