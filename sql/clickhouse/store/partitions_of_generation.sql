-- Grain: one partition of a table that has rows of one generation; none if it has no rows.
SELECT DISTINCT _partition_id AS partition
FROM {table:Identifier}
WHERE customer_id = {customer_id:String} AND generation = {generation:UInt64}
