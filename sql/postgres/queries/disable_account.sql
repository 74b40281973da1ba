-- Disables an account, so that it is no longer collected.
UPDATE optiinfra.accounts
SET status = 'disabled', disabled_at = coalesce(disabled_at, now())
WHERE account_id = %(account_id)s
RETURNING account_id
