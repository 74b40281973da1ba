-- warnings: what a successful collection lacked, skipped or read leniently: JSON objects with code, message, count and example. The
-- generation has them too, but a collection that publishes nothing has no generation.
ALTER TABLE optiinfra.collection_history ADD COLUMN warnings jsonb NOT NULL DEFAULT '[]'
