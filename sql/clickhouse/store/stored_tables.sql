-- The tables of the database, and the bytes of their parts that are in use.
SELECT name, ifNull(total_bytes, 0) AS bytes FROM system.tables WHERE database = currentDatabase() ORDER BY name
