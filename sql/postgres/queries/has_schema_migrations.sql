-- One row: whether this database has a table of migrations. A dry run must not create it.
SELECT to_regclass('optiinfra.schema_migrations') IS NOT NULL
