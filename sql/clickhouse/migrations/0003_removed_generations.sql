-- Grain: one superseded generation whose rows retention has removed. Written before the rows go, so that an `asOf` read
-- that would need them is refused instead of answered short.
CREATE TABLE IF NOT EXISTS removed_generations
(
    customer_id LowCardinality(String),
    generation UInt64,
    removed_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY (customer_id, generation)
