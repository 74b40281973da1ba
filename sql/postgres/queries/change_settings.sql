-- Changes the settings of an active account and returns its previous settings. Returns no row if there is no such account.
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
