-- One row, true if this connection now holds the lock on rotation; the lock ends with the connection.
SELECT pg_try_advisory_lock(hashtextextended('optiinfra.master_keys', 0))
