-- The newest comparison of each account and period of a customer; that of an instant (inclusive) if one is given.
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
WHERE reconciliations.customer_id = %(customer_id)s
ORDER BY billing_period DESC, account_id, issuer, currency
