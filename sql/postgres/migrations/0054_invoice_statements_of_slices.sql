-- For the newest statement of each account, period and origin.
CREATE INDEX invoice_statements_of_slices
ON optiinfra.invoice_statements (customer_id, account_id, billing_period, origin, statement_id DESC)
