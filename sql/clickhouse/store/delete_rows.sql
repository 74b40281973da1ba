-- Hide the rows of some generations from one partition of one table; other partitions are not touched.
DELETE FROM {table:Identifier} IN PARTITION ID {partition:String}
-- include: generations
