-- Rows of one table of attempts at one slice. A number may be that of another slice's publication if PostgreSQL was restored from before.
SELECT customer_id, _partition_id AS partition, generation, count() AS rows, false AS was_published
FROM {table:Identifier} AS attempts
-- include: publications_of_slice
    AND generation IN {generations:Array(UInt64)}
    AND generation NOT IN (SELECT generation FROM publications)
GROUP BY customer_id, partition, generation
