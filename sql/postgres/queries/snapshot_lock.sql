-- Lets one process at a time add snapshots of an account, kind and period; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('optiinfra.provider_snapshots ' || %(account_id)s || ' ' || %(billing_period)s || ' ' || %(kind)s, 0))
