-- One process at a time adds to the snapshots of an account, kind and period; freed at the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('optiinfra.provider_snapshots ' || %(account_id)s || ' ' || %(billing_period)s || ' ' || %(kind)s, 0))
