-- Collect nothing more for an account.
UPDATE optiinfra.accounts SET status = 'disabled' WHERE account_id = %(account_id)s RETURNING account_id
