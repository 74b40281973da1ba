-- Grain: one migration that ran (two rows if two migrators ran it at once). The table is created before the first numbered file runs.
CREATE TABLE IF NOT EXISTS schema_migrations
(
    number UInt32,
    name String,
    checksum String,
    applied_at DateTime64(6, 'UTC')
)
ENGINE = MergeTree
ORDER BY number
