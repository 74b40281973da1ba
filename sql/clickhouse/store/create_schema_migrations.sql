-- Grain: one migration that ran (twice, if two migrators ran it at once). Created before the first numbered file.
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32,
    name String,
    checksum String,
    applied_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY number
