-- Attempts to build a generation that may still be loading, of all customers.
SELECT generation
-- include: live_attempts
