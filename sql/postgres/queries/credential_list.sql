-- Credentials without anything encrypted, by account, after one; a null filter lets everything through.
SELECT
    -- include: credential_columns
FROM optiinfra.credentials
WHERE (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
    AND (%(account_id)s::text IS NULL OR account_id = %(account_id)s)
    AND (%(after)s::text IS NULL OR account_id > %(after)s)
    AND (%(include_deleted)s OR deleted_at IS NULL)
ORDER BY account_id
LIMIT %(first)s
