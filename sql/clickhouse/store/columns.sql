-- Columns of the given tables of this database, in order.
SELECT table, name
FROM system.columns
WHERE database = currentDatabase() AND table IN {tables:Array(String)}
ORDER BY table, position
