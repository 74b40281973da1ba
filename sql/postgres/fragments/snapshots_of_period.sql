-- FROM and WHERE: snapshots of an account, kind and period.
-- Included by: snapshot_add.sql, snapshot_newest.sql, snapshot_read.sql, snapshot_taken.sql.
-- Parameters: account_id, kind, billing_period.
FROM optiinfra.provider_snapshots
WHERE account_id = %(account_id)s AND kind = %(kind)s AND billing_period = %(billing_period)s
