-- Rows of one table that may be deleted: those of generations that were recorded as removed before the grace period began, and those of
-- generations that were never published and are older than one published before it (generation numbers only grow).
WITH
    {now:DateTime64(6, 'UTC')} - toIntervalSecond({grace:UInt32}) AS settled,
    (SELECT max(generation) FROM publications WHERE published_at <= settled) AS settled_generation
SELECT
    customer_id,
    _partition_id AS partition,
    generation,
    count() AS rows,
    generation IN (SELECT generation FROM publications) AS was_published
FROM {table:Identifier}
WHERE generation IN (SELECT generation FROM removed_generations WHERE removed_at <= settled)
    OR (generation < settled_generation AND generation NOT IN (SELECT generation FROM publications))
GROUP BY customer_id, partition, generation
