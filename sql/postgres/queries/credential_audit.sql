-- The audit log of credentials, newest first, below an id; a null filter selects all.
SELECT
    id,
    at,
    actor,
    origin,
    action,
    outcome,
    customer_id,
    account_id,
    credential_id,
    version,
    key_id,
    purpose,
    run_id,
    detail
FROM optiinfra.credential_audit_log
WHERE (%(before)s::bigint IS NULL OR id < %(before)s)
    AND (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
    AND (%(account_id)s::text IS NULL OR account_id = %(account_id)s)
    AND (%(action)s::text IS NULL OR action = %(action)s)
ORDER BY id DESC
LIMIT %(first)s
