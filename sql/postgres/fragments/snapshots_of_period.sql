-- FROM and WHERE: snapshots of an account, kind and period.
FROM optiinfra.provider_snapshots
WHERE account_id = %(account_id)s AND kind = %(kind)s AND billing_period = %(billing_period)s
