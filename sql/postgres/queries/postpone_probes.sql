-- The provider throttles: no probe of an account before an instant.
UPDATE optiinfra.accounts SET probe_not_before = %(until)s WHERE account_id = %(account_id)s
