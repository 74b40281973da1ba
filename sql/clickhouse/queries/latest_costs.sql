-- Grain: account x currency, with its newest days that have charges. Source: cost_by_day.
-- For: latestCosts. Sums run in 256 bits: a sum of Decimal(38, 18) wraps silently beyond 1.7e20.
WITH arraySort(groupArray((charge_date, day_amount))) AS points
SELECT
    provider,
    account_id AS account,
    billing_currency AS currency,
    points.1 AS dates,
    arrayMap(amount -> toString(amount), points.2) AS amounts,
    toString(sum(day_amount)) AS total,
    sum(day_unpriced) AS unpriced_line_items,
    sum(day_line_items) AS line_items
FROM
(
    WITH 0 AS none
    SELECT
        provider,
        account_id,
        billing_currency,
        charge_date,
        sum(toDecimal256({cost:Identifier}, 18)) AS day_amount,
        sum({unpriced:Identifier}) AS day_unpriced,
        sum(line_items) AS day_line_items
    FROM cost_by_day
    WHERE customer_id = {customer_id:String}
        AND generation IN {generations:Array(UInt64)}
        AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
    GROUP BY provider, account_id, billing_currency, charge_date
    ORDER BY charge_date DESC
    LIMIT {days:UInt32} BY provider, account_id, billing_currency
)
GROUP BY provider, account, currency
ORDER BY provider, account, currency
