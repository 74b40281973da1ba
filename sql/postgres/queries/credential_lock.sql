-- One process at a time stores a secret of an account; freed when the connection ends.
SELECT pg_advisory_lock(hashtextextended('optiinfra.credentials ' || %(account_id)s, 0))
