-- Which of the given names are tables of this database.
SELECT name
FROM system.tables
WHERE database = currentDatabase() AND name IN {names:Array(String)}
