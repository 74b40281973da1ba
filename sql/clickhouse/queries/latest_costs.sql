-- Grain: account x currency, with its newest days that have charges. Source: cost_by_day.
-- For: latestCosts. Sums have 256 bits, because a sum of Decimal(38, 18) wraps silently beyond 1.7e20.
WITH arraySort(groupArray((charge_date, bucket_amount))) AS points
SELECT
    provider,
    account_id AS account,
    -- include: series_columns
FROM
(
    WITH 0 AS none
    SELECT
        provider,
        account_id,
        billing_currency,
        charge_date,
        sum(toDecimal256({cost:Identifier}, 18)) AS bucket_amount,
        sum({unpriced:Identifier}) AS bucket_unpriced,
        sum(line_items) AS bucket_line_items
    FROM cost_by_day
    -- include: resolved_generations
        -- include: currency_filter
    GROUP BY provider, account_id, billing_currency, charge_date
    ORDER BY charge_date DESC
    LIMIT {days:UInt32} BY provider, account_id, billing_currency
)
GROUP BY provider, account, currency
ORDER BY provider, account, currency
