-- Record that a migration ran.
INSERT INTO schema_migrations (number, name, checksum, applied_at)
SELECT {number:UInt32}, {name:String}, {checksum:String}, {applied_at:DateTime64(6, 'UTC')}
