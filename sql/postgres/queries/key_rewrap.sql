-- Replaces the wrapped data key of one secret, of an account or a channel, and writes it to the audit log. No row: the secret was replaced or purged meanwhile.
WITH usable AS (
    SELECT key_id
    FROM optiinfra.master_keys
    WHERE key_id = %(new)s AND retired_at IS NULL
    FOR SHARE
),

rewrapped AS (
    UPDATE optiinfra.credentials AS c
    SET wrapped_key = %(wrapped_key)s, key_id = usable.key_id, rewrapped_at = now()
    FROM usable
    WHERE c.credential_id = %(credential_id)s AND c.version = %(version)s AND c.key_id = %(key_id)s
    RETURNING c.customer_id, c.account_id, c.credential_id, c.version, c.key_id
),

of_channel AS (
    UPDATE optiinfra.channel_secrets AS s
    SET wrapped_key = %(wrapped_key)s, key_id = usable.key_id
    FROM usable
    WHERE s.channel_id = %(credential_id)s AND s.version = %(version)s AND s.key_id = %(key_id)s
    RETURNING s.customer_id, %(account_id)s::text AS account_id, s.channel_id, s.version, s.key_id
)

INSERT INTO optiinfra.credential_audit_log
    (actor, origin, action, outcome, customer_id, account_id, credential_id, version, key_id, detail)
SELECT
    %(actor)s, %(origin)s, 'rewrap', 'done', customer_id, account_id, credential_id, version, key_id, %(key_id)s
FROM (TABLE rewrapped UNION ALL TABLE of_channel) AS one
RETURNING id
