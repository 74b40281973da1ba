-- Every migration that ran: number, name, SHA-256 of the file at the time.
SELECT number, name, checksum FROM optiinfra.schema_migrations ORDER BY number
