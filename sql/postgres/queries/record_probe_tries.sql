-- Accounts whose probe was begun, answered or not.
UPDATE optiinfra.accounts SET probe_tried_at = %(at)s WHERE account_id = ANY (%(account_ids)s::text[])
