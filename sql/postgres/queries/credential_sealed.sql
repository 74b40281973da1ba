-- All that is needed, besides the master key, to decrypt the secret of an account, and the account's settings; also if deleted.
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
