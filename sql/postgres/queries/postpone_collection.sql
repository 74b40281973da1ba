-- A collection of one slice failed: while the source shows what it did when that began, the schedule waits until an instant.
UPDATE optiinfra.slice_state
SET failed_token = tried_token, retry_at = %(until)s
WHERE account_id = %(account_id)s AND billing_period = %(billing_period)s
