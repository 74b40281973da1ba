-- Locks a delivery so that one process at a time writes to its place, true if it did; the lock ends with the connection.
SELECT pg_try_advisory_lock(hashtextextended('optiinfra.deliveries ' || %(delivery_id)s, 0))
