-- The server's version, and the bytes of this database.
SELECT current_setting('server_version') AS version, pg_database_size(current_database()) AS bytes
