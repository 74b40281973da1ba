-- What it takes, besides the master key, to open the secret of an account, and the settings that it belongs to; deleted or not.
SELECT
    credential_id,
    account_id,
    credentials.customer_id,
    version,
    ciphertext,
    nonce,
    wrapped_key,
    key_id,
    deleted_at,
    accounts.settings
FROM optiinfra.credentials
JOIN optiinfra.accounts USING (account_id)
WHERE account_id = %(account_id)s
