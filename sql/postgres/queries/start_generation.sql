-- Starts an attempt to build a generation, which takes the next number.
INSERT INTO optiinfra.generations (account_id, billing_period, run_id)
VALUES (%(account_id)s, %(billing_period)s, %(run_id)s)
RETURNING generation
