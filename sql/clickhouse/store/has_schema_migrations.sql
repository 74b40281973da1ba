-- One row, 1 or 0: does this database have a record of migrations? A dry run must not create it.
SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'schema_migrations'
