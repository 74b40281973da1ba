-- Grain: currency. Source: cost_trends. For: /export/total without a tag.
-- Sums run in 256 bits; one that the 38 digits of the answer cannot hold is an error of the engine, never a wrapped number.
WITH 0 AS none
SELECT
    billing_currency AS currency,
    toDecimal128(sum(toDecimal256({cost:Identifier}, 18)), 18) AS cost,
    sum(cost_trends.line_items) AS line_items,
    sum({unpriced:Identifier}) AS unpriced_line_items
FROM cost_trends
WHERE customer_id = {customer_id:String}
    AND generation IN {generations:Array(UInt64)}
    AND charge_date >= {start:Date}
    AND charge_date < {end:Date}
    AND (empty({sub_accounts:Array(String)}) OR has({sub_accounts:Array(String)}, sub_account_id))
    AND (empty({services:Array(String)}) OR has({services:Array(String)}, service_name))
    AND (empty({regions:Array(String)}) OR has({regions:Array(String)}, region_id))
    AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, cost_trends.charge_category))
    AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
GROUP BY currency
ORDER BY currency
