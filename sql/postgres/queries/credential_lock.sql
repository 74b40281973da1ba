-- Locks an account so that one process at a time stores its secret; the lock ends with the connection.
SELECT pg_advisory_lock(hashtextextended('optiinfra.credentials ' || %(account_id)s, 0))
