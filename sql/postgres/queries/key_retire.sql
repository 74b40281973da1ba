-- Retires a master key and writes it to the audit log. Returns no row if it still wraps a data key.
WITH retired AS (
    UPDATE optiinfra.master_keys
    SET retired_at = coalesce(retired_at, now())
    WHERE key_id = %(key_id)s
        AND NOT EXISTS (SELECT FROM optiinfra.sealed_keys WHERE key_id = %(key_id)s)
    RETURNING key_id
)

INSERT INTO optiinfra.credential_audit_log (actor, origin, action, outcome, key_id)
SELECT %(actor)s, %(origin)s, 'retire_key', 'done', key_id FROM retired
RETURNING id
