-- Lets one process at a time migrate this database; the lock ends with the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('optiinfra.schema_migrations', 0))
