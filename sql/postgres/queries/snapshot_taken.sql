-- When the snapshots of an account, kind and period were taken, oldest first.
SELECT taken_at
FROM optiinfra.provider_snapshots
WHERE account_id = %(account_id)s AND kind = %(kind)s AND billing_period = %(billing_period)s
ORDER BY taken_at
