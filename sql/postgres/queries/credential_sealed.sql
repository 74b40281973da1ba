-- All that is needed, besides the master key, to decrypt the secret of an account or a delivery, and its settings; also if deleted.
SELECT
    credential_id,
    account_id,
    c.customer_id,
    version,
    ciphertext,
    nonce,
    wrapped_key,
    key_id,
    deleted_at,
    owners.settings
FROM optiinfra.credentials AS c
JOIN (
    -- include: credential_owners
) AS owners USING (account_id)
WHERE account_id = %(account_id)s
