-- The newest attempts at one slice that ended and published nothing.
SELECT generation FROM optiinfra.generations
WHERE account_id = %(account_id)s AND billing_period = %(billing_period)s AND state IN ('unchanged', 'discarded')
ORDER BY generation DESC LIMIT %(most)s
