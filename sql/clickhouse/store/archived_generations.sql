-- Generations that the table still has though they were archived before the grace period began, so that every reader finds them there.
SELECT _partition_id AS partition, customer_id, generation, count() AS rows, true AS was_published
FROM {table:Identifier}
WHERE generation IN (
    SELECT generation FROM archived_publications WHERE archived_at <= {now:DateTime64(6, 'UTC')} - toIntervalSecond({grace:UInt32})
)
GROUP BY partition, customer_id, generation
