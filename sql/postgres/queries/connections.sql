-- Accounts of a customer with their credentials, without ciphertext, by account id, after a given one; a null filter selects all.
-- version is null where no secret is stored: the provider has none, or it was purged.
SELECT
    a.account_id,
    a.customer_id,
    a.provider,
    a.settings,
    a.is_simulated,
    a.settings_by_operator,
    a.secrets_by_operator,
    a.status,
    a.created_at,
    a.last_probe_at,
    a.last_change_at,
    -- include: last_error,
    c.version,
    c.key_id,
    greatest(a.updated_at, c.updated_at) AS updated_at,
    c.rotated_at,
    coalesce(a.disabled_at, c.deleted_at) AS deleted_at
FROM optiinfra.accounts AS a
LEFT JOIN optiinfra.credentials AS c USING (account_id)
WHERE a.customer_id = %(customer_id)s
    AND (%(account_id)s::text IS NULL OR a.account_id = %(account_id)s)
    AND (%(after)s::text IS NULL OR a.account_id > %(after)s)
    AND (%(include_deleted)s OR a.status = 'active')
ORDER BY a.account_id
LIMIT %(first)s
