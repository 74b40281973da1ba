-- Every migration that ran: number, name, SHA-256 of the file at the time.
SELECT DISTINCT number, name, checksum FROM schema_migrations ORDER BY number
