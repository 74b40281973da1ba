-- The newest snapshot of an account, kind and period.
SELECT taken_at, body
FROM optiinfra.provider_snapshots
WHERE account_id = %(account_id)s AND kind = %(kind)s AND billing_period = %(billing_period)s
ORDER BY taken_at DESC
LIMIT 1
