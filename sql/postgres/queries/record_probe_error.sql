-- Why the last probe of an account got no answer.
UPDATE optiinfra.accounts SET last_error = %(error)s WHERE account_id = %(account_id)s
