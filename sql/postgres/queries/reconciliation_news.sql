-- What changed last that a comparison of a month before a period depends on: number of the newest statement, instant of the newest costs.
SELECT
    (SELECT max(statement_id) FROM optiinfra.invoice_statements) AS statement_id,
    (SELECT max(published_at) FROM optiinfra.slice_state WHERE billing_period < %(period)s) AS published_at
