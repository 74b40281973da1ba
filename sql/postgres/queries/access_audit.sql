-- The audit log of customers and tokens, newest first, below an id; a null filter selects all.
SELECT id, at, actor, origin, action, customer_id, token_id, role, name, detail
FROM optiinfra.access_audit_log
WHERE (%(before)s::bigint IS NULL OR id < %(before)s)
    AND (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
ORDER BY id DESC
LIMIT %(first)s
