-- The active credentials of a customer, without what is encrypted.
SELECT
    credential_id, account_id, customer_id, provider, version, key_id, created_at, updated_at, rotated_at, rewrapped_at, deleted_at
FROM optiinfra.credentials WHERE customer_id = %(customer_id)s AND deleted_at IS NULL ORDER BY account_id
