-- Erases a deleted secret and writes it to the audit log. Returns no row if there is none, or if it is in use.
WITH purged AS (
    DELETE FROM optiinfra.credentials
    WHERE account_id = %(account_id)s AND deleted_at IS NOT NULL
    RETURNING customer_id, account_id, credential_id, version, key_id
)

INSERT INTO optiinfra.credential_audit_log
    (actor, origin, action, outcome, customer_id, account_id, credential_id, version, key_id)
SELECT %(actor)s, %(origin)s, 'purge', 'done', customer_id, account_id, credential_id, version, key_id
FROM purged
RETURNING id
