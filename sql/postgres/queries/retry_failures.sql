-- Ends the wait after failures of an account: the next tick tries its slices.
UPDATE optiinfra.slice_state
SET failed_token = NULL, retry_at = NULL
WHERE account_id = %(account_id)s AND is_failing
