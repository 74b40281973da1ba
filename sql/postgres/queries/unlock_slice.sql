-- Ends one lock on a slice that this connection holds.
SELECT pg_advisory_unlock(hashtextextended('optiinfra.slice ' || %(slice)s, 0))
