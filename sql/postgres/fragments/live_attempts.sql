-- FROM and WHERE: attempts to build a generation that may still be loading: they began not long ago, or somebody holds the lock on their
-- slice. The lock counts whatever the clock says. The key of an advisory lock is in two halves; see the view pg_locks.
FROM optiinfra.generations
INNER JOIN optiinfra.accounts USING (account_id)
WHERE state = 'loading'
    AND (
        started_at > now() - %(younger_than)s::interval
        OR hashtextextended('optiinfra.slice ' || provider || '/' || account_id || '/' || billing_period, 0) IN (
            SELECT (classid::bigint << 32) | objid::bigint
            FROM pg_locks
            WHERE locktype = 'advisory' AND objsubid = 1 AND granted
                AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
        )
    )
