-- One migrator at a time in this database; freed at the end of the transaction.
SELECT pg_advisory_xact_lock(hashtextextended('optiinfra.schema_migrations', 0))
