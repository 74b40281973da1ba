-- One row, true if this connection now holds the lock on a slice; the lock ends with the connection.
SELECT pg_try_advisory_lock(hashtextextended('optiinfra.slice ' || %(slice)s, 0))
