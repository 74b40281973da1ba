-- Stores the secrets of a new channel and writes it to the audit log. No row: the master key was retired.
WITH usable_key AS (
    SELECT key_id FROM optiinfra.master_keys WHERE key_id = %(key_id)s AND retired_at IS NULL FOR SHARE
), stored_secret AS (
    INSERT INTO optiinfra.channel_secrets (channel_id, customer_id, version, ciphertext, nonce, wrapped_key, key_id)
    SELECT %(credential_id)s, %(customer_id)s, %(version)s, %(ciphertext)s, %(nonce)s, %(wrapped_key)s, usable_key.key_id
    FROM usable_key
    RETURNING channel_id, customer_id, version, key_id
)
INSERT INTO optiinfra.credential_audit_log (actor, origin, action, outcome, customer_id, account_id, credential_id, version, key_id)
SELECT %(actor)s, %(origin)s, 'create', 'done', customer_id, %(account_id)s, channel_id, version, key_id FROM stored_secret
RETURNING id
