-- Records why the last probe of an account failed; last_error_since stays while probes go on failing.
UPDATE optiinfra.accounts
SET last_error = %(error)s, last_error_fault = %(fault)s, last_error_since = coalesce(last_error_since, %(at)s)
WHERE account_id = %(account_id)s
