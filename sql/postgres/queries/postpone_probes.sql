-- The provider throttles: do not probe an account before an instant.
UPDATE optiinfra.accounts SET probe_not_before = %(until)s WHERE account_id = %(account_id)s
