-- One row, 1 or 0: whether this database has both row policies.
SELECT count() = 2 FROM system.row_policies
WHERE database = currentDatabase() AND short_name IN ('optiinfra_customer', 'optiinfra_others')
