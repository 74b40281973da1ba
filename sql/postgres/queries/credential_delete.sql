-- Deletes the secret of an account (without erasing it) and writes it to the audit log. Returns no row if none is in use.
WITH deleted AS (
    UPDATE optiinfra.credentials
    SET deleted_at = now()
    WHERE account_id = %(account_id)s AND deleted_at IS NULL
    RETURNING customer_id, account_id, credential_id, version, key_id
)

INSERT INTO optiinfra.credential_audit_log
    (actor, origin, action, outcome, customer_id, account_id, credential_id, version, key_id)
SELECT %(actor)s, %(origin)s, 'delete', 'done', customer_id, account_id, credential_id, version, key_id
FROM deleted
RETURNING id
