-- Grain: kind of charge x currency. Source: cost_by_type. For: /export/by-type without a filter that its table does not have.
-- Sums run in 256 bits; one that the 38 digits of the answer cannot hold is an error of the engine, never a wrapped number.
WITH 0 AS none
SELECT
    cost_by_type.charge_category AS charge_category,
    nullIf(cost_by_type.charge_class, '') AS charge_class,
    nullIf(cost_by_type.charge_frequency, '') AS charge_frequency,
    nullIf(cost_by_type.pricing_category, '') AS pricing_category,
    billing_currency AS currency,
    toDecimal128(sum(toDecimal256({cost:Identifier}, 18)), 18) AS cost,
    sum(cost_by_type.line_items) AS line_items,
    sum({unpriced:Identifier}) AS unpriced_line_items
FROM cost_by_type
WHERE customer_id = {customer_id:String}
    AND generation IN {generations:Array(UInt64)}
    AND charge_date >= {start:Date}
    AND charge_date < {end:Date}
    AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, cost_by_type.charge_category))
    AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
GROUP BY charge_category, charge_class, charge_frequency, pricing_category, currency
ORDER BY currency, charge_category, charge_class, charge_frequency, pricing_category
