-- Line items and costs of some generations by generation, currency and table: of raw_costs, and of the derived tables whose names match.
-- Sums have 256 bits, because a sum in 128 bits wraps silently past 20 integer digits.
SELECT
    'raw_costs' AS table,
    generation,
    billing_currency,
    sum(toDecimal256(raw_costs.billed_cost, 18)) AS billed_cost,
    sum(toDecimal256(raw_costs.effective_cost, 18)) AS effective_cost,
    sum(toDecimal256(ifNull(raw_costs.list_cost, 0), 18)) AS list_cost,
    sum(toDecimal256(ifNull(raw_costs.contracted_cost, 0), 18)) AS contracted_cost,
    countIf(isNull(raw_costs.list_cost)) AS list_cost_missing,
    countIf(isNull(raw_costs.contracted_cost)) AS contracted_cost_missing,
    count() AS line_items
FROM raw_costs
-- include: generations
GROUP BY generation, billing_currency
UNION ALL
SELECT
    _table AS table,
    derived.generation AS generation,
    derived.billing_currency AS billing_currency,
    -- include: derived_sums
FROM merge(currentDatabase(), {tables:String}) AS derived
WHERE derived.customer_id IN {customers:Array(String)} AND derived.generation IN {generations:Array(UInt64)}
GROUP BY table, generation, billing_currency
