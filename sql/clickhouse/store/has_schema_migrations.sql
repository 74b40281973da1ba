-- One row, 1 or 0: whether this database has the table schema_migrations. A dry run must not create it.
SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'
