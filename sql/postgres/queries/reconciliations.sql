-- The newest comparison of each account and period of a customer, newest periods first; that of an instant (inclusive) if one is given.
-- after: period, account, issuer and currency of the one that they come after.
SELECT
    -- include: reconciliation_columns
FROM optiinfra.reconciliations
INNER JOIN (
    SELECT account_id, billing_period, max(comparison) AS comparison
    FROM optiinfra.reconciliations
    -- include: month_filters
        AND (%(as_of)s::timestamptz IS NULL OR compared_at <= %(as_of)s)
    GROUP BY account_id, billing_period
) AS newest USING (account_id, billing_period, comparison)
WHERE reconciliations.customer_id = %(customer_id)s AND (%(status)s::text IS NULL OR status = %(status)s)
    AND (
        %(after)s::text[] IS NULL
        OR billing_period < (%(after)s::text[])[1]
        OR (
            billing_period = (%(after)s::text[])[1]
            AND (account_id, issuer, currency) > ((%(after)s::text[])[2], (%(after)s::text[])[3], (%(after)s::text[])[4])
        )
    )
ORDER BY billing_period DESC, account_id, issuer, currency
LIMIT %(most)s
