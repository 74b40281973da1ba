-- After a failed collection: while the source keeps the token that the collection started with, the schedule waits until an instant.
UPDATE optiinfra.slice_state
SET failed_token = tried_token, retry_at = %(until)s
WHERE account_id = %(account_id)s AND billing_period = %(billing_period)s
