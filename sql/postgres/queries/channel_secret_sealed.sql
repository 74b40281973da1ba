-- All that is needed, besides the master key, to decrypt the secrets of a channel; its columns are those of credential_sealed.sql.
SELECT
    channel_id AS credential_id, 'channel:' || channel_id AS account_id, customer_id, version, ciphertext, nonce, wrapped_key, key_id,
    NULL::timestamptz AS deleted_at
FROM optiinfra.channel_secrets WHERE channel_id = %(channel_id)s
