-- Collections, newest first, below an id; a null filter or limit selects all.
-- is_open: only those that have not ended, read from the index collection_history_open. A plan that does not know the value would read
-- the whole table and is never the cheaper one, so PostgreSQL plans with the value each time.
SELECT
    -- include: history_columns
FROM optiinfra.collection_history
WHERE (%(before)s::bigint IS NULL OR id < %(before)s)
    AND (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
    AND (%(provider)s::text IS NULL OR provider = %(provider)s)
    AND (%(account_id)s::text IS NULL OR account_id = %(account_id)s)
    AND (%(billing_period)s::text IS NULL OR billing_period = %(billing_period)s)
    AND (%(task_id)s::text IS NULL OR task_id = %(task_id)s)
    AND (%(status)s::text IS NULL OR status = %(status)s)
    AND (NOT %(is_open)s OR ended_at IS NULL)
ORDER BY id DESC
LIMIT %(first)s
