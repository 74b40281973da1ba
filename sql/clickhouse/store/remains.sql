-- Rows of one table that may go: of generations on record as removed for the time of grace, and of generations never published
-- that are older than one published before the time of grace (numbers only ever grow).
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
