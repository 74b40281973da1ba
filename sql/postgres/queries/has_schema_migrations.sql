-- One row: does this database have a record of migrations? A dry run must not create it.
SELECT to_regclass('optiinfra.schema_migrations') IS NOT NULL
