-- What it takes, besides the master key, to open the secret of an account; deleted or not.
SELECT credential_id, account_id, customer_id, version, ciphertext, nonce, wrapped_key, key_id, deleted_at
FROM optiinfra.credentials
WHERE account_id = %(account_id)s
