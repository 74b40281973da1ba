-- Every migration that ran: its number, name, and the SHA-256 of its file at that time.
SELECT DISTINCT number, name, checksum FROM schema_migrations ORDER BY number
