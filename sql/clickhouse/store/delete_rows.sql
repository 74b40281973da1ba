-- Hide the rows of one generation from one partition of one table; other partitions are not touched.
DELETE FROM {table:Identifier} IN PARTITION ID {partition:String}
-- include: one_generation
