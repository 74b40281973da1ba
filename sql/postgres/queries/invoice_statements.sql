-- The newest statement of each account, period and origin of a customer, newest periods first; those of an instant (inclusive) if one is
-- given. after: period, account and origin of the one that they come after.
SELECT DISTINCT ON (billing_period, account_id, origin)
    account_id, provider, billing_period, origin, statement_id, stated_at, content, sources, author
FROM optiinfra.invoice_statements
INNER JOIN optiinfra.accounts USING (customer_id, account_id)
-- include: month_filters
    AND (%(as_of)s::timestamptz IS NULL OR stated_at <= %(as_of)s)
    AND (
        %(after)s::text[] IS NULL
        OR billing_period < (%(after)s::text[])[1]
        OR (billing_period = (%(after)s::text[])[1] AND (account_id, origin) > ((%(after)s::text[])[2], (%(after)s::text[])[3]))
    )
ORDER BY billing_period DESC, account_id, origin, statement_id DESC
LIMIT %(most)s
