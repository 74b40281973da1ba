-- Records why the last probe of an account failed.
UPDATE optiinfra.accounts SET last_error = %(error)s WHERE account_id = %(account_id)s
