-- Hide the rows of one generation from one partition of one table; other partitions are not touched.
DELETE FROM {table:Identifier} IN PARTITION ID {partition:String}
WHERE customer_id = {customer_id:String} AND generation = {generation:UInt64}
