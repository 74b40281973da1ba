-- Events of a customer after a cursor, in the order in which they became visible. Events of younger transactions wait for older ones.
SELECT
    id,
    xid::text::bigint AS xid,
    at,
    customer_id,
    task_id,
    collection_id,
    provider,
    account_id,
    billing_period,
    trigger,
    status,
    attempt,
    generation,
    rows,
    error,
    run_id
FROM optiinfra.collection_events
WHERE customer_id = %(customer_id)s
    AND (xid, id) > (%(after_xid)s::text::xid8, %(after_id)s)
    AND xid < pg_snapshot_xmin(pg_current_snapshot())
    AND (%(task_id)s::text IS NULL OR task_id = %(task_id)s)
ORDER BY xid, id
LIMIT %(first)s
