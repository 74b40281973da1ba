-- One row, true if this connection now holds the lock on rotation; freed when the connection ends.
SELECT pg_try_advisory_lock(hashtextextended('optiinfra.master_keys', 0))
