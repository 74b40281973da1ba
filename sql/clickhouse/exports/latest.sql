-- Grain: account x currency x day, the newest days that have charges. Source: cost_by_day. For: /export/latest.
-- Sums run in 256 bits; one that the 38 digits of the answer cannot hold is an error of the engine, never a wrapped number.
WITH 0 AS none
SELECT
    provider,
    account_id AS account,
    charge_date AS date,
    billing_currency AS currency,
    toDecimal128(sum(toDecimal256({cost:Identifier}, 18)), 18) AS cost,
    sum(cost_by_day.line_items) AS line_items,
    sum({unpriced:Identifier}) AS unpriced_line_items
FROM cost_by_day
WHERE customer_id = {customer_id:String}
    AND generation IN {generations:Array(UInt64)}
    AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
GROUP BY provider, account, currency, date
ORDER BY provider, account, currency, date DESC
LIMIT {days:UInt32} BY provider, account, currency
