-- Other settings for an active account; the row says which it had before. No row comes back if there is none.
WITH old AS (
    SELECT account_id, settings
    FROM optiinfra.accounts
    WHERE account_id = %(account_id)s AND status = 'active'
    FOR UPDATE
)

UPDATE optiinfra.accounts AS a
SET settings = %(settings)s, updated_at = now()
FROM old
WHERE a.account_id = old.account_id
RETURNING old.settings
