-- The newest statement of each account, period and origin of a customer; those of an instant (inclusive) if one is given.
SELECT DISTINCT ON (account_id, billing_period, origin)
    account_id, provider, billing_period, origin, statement_id, stated_at, content, sources, author
FROM optiinfra.invoice_statements
INNER JOIN optiinfra.accounts USING (customer_id, account_id)
-- include: month_filters
    AND (%(as_of)s::timestamptz IS NULL OR stated_at <= %(as_of)s)
ORDER BY account_id, billing_period, origin, statement_id DESC
