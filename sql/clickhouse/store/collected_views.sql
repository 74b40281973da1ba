-- The views that fill the tables from collected_line_items, each with the text that says what it was made of.
SELECT name, comment
FROM system.tables
WHERE database = currentDatabase() AND startsWith(name, {prefix:String})
