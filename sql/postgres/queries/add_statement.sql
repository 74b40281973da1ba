-- Publishes a version of what is stated of the invoices of an account and period.
INSERT INTO optiinfra.invoice_statements (customer_id, account_id, billing_period, origin, stated_at, content, sources, author)
VALUES (
    %(customer_id)s, %(account_id)s, %(billing_period)s, %(origin)s, %(stated_at)s, %(content)s, %(sources)s, %(author)s
)
