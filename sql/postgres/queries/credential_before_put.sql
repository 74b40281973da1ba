-- An account, or a delivery, with its credential, if it has one; no row if there is no such account.
SELECT
    a.customer_id,
    a.provider,
    c.credential_id,
    coalesce(c.version, 0) AS version,
    c.credential_id IS NOT NULL AND c.deleted_at IS NULL AS is_live
FROM (
    -- include: credential_owners
) AS a
LEFT JOIN optiinfra.credentials AS c USING (account_id)
WHERE a.account_id = %(account_id)s
