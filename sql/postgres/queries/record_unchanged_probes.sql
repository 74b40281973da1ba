-- Records probes of accounts that returned the same tokens as the probe before.
UPDATE optiinfra.accounts
SET last_probe_at = %(at)s, last_error = NULL, last_error_since = NULL
WHERE account_id = ANY (%(account_ids)s::text[])
