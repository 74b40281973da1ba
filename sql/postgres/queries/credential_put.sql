-- Stores a secret as the next version and writes it to the audit log. Returns no row if another version was stored first,
-- if the secret was deleted meanwhile (unless stored as new), or if its master key was retired.
-- FOR SHARE: nobody can retire the key between this check and the end of this statement.
WITH usable AS (
    SELECT key_id
    FROM optiinfra.master_keys
    WHERE key_id = %(key_id)s AND retired_at IS NULL
    FOR SHARE
),

stored AS (
    INSERT INTO optiinfra.credentials AS old
        (credential_id, account_id, customer_id, provider, version, ciphertext, nonce, wrapped_key, key_id)
    SELECT
        %(credential_id)s,
        a.account_id,
        a.customer_id,
        a.provider,
        %(version)s,
        %(ciphertext)s,
        %(nonce)s,
        %(wrapped_key)s,
        usable.key_id
    FROM usable, (
        -- include: credential_owners
    ) AS a
    WHERE a.account_id = %(account_id)s AND a.customer_id = %(customer_id)s
    ON CONFLICT (account_id) DO UPDATE
    SET version = excluded.version,
        ciphertext = excluded.ciphertext,
        nonce = excluded.nonce,
        wrapped_key = excluded.wrapped_key,
        key_id = excluded.key_id,
        updated_at = now(),
        rotated_at = CASE WHEN %(action)s = 'rotate' THEN now() ELSE old.rotated_at END,
        deleted_at = NULL
    WHERE old.credential_id = excluded.credential_id
        AND old.version = excluded.version - 1
        AND (old.deleted_at IS NULL OR %(action)s = 'create')
    RETURNING *
),

noted AS (
    INSERT INTO optiinfra.credential_audit_log
        (actor, origin, action, outcome, customer_id, account_id, credential_id, version, key_id)
    SELECT %(actor)s, %(origin)s, %(action)s, 'done', customer_id, account_id, credential_id, version, key_id
    FROM stored
)

SELECT
    credential_id,
    account_id,
    customer_id,
    provider,
    version,
    key_id,
    created_at,
    updated_at,
    rotated_at,
    rewrapped_at,
    deleted_at
FROM stored
