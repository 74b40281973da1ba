-- One row, true if this connection now holds the lock on a slice; freed when the connection ends.
SELECT pg_try_advisory_lock(hashtextextended('optiinfra.slice ' || %(slice)s, 0))
