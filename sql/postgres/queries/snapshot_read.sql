-- Snapshots of an account, kind and period, oldest first: those taken at the instants given, or all if none are given (null).
SELECT taken_at, body
FROM optiinfra.provider_snapshots
WHERE
    account_id = %(account_id)s AND kind = %(kind)s AND billing_period = %(billing_period)s
    AND (%(taken)s::timestamptz [] IS NULL OR taken_at = ANY(%(taken)s::timestamptz []))
ORDER BY taken_at
