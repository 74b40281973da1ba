-- Records that probes of accounts started, whether or not they were answered.
UPDATE optiinfra.accounts SET probe_tried_at = %(at)s WHERE account_id = ANY (%(account_ids)s::text[])
