-- Line items and costs of some generations by generation, currency and derived table (the tables whose names match); comparable with raw_sums.sql.
SELECT
    _table AS table,
    derived.generation AS generation,
    derived.billing_currency AS billing_currency,
    sum(toDecimal256(derived.billed_cost, 18)) AS billed_cost,
    sum(toDecimal256(derived.effective_cost, 18)) AS effective_cost,
    sum(toDecimal256(derived.list_cost, 18)) AS list_cost,
    sum(toDecimal256(derived.contracted_cost, 18)) AS contracted_cost,
    sum(derived.list_cost_missing) AS list_cost_missing,
    sum(derived.contracted_cost_missing) AS contracted_cost_missing,
    sum(derived.line_items) AS line_items
FROM merge(currentDatabase(), {tables:String}) AS derived
WHERE derived.customer_id IN {customers:Array(String)} AND derived.generation IN {generations:Array(UInt64)}
GROUP BY table, generation, billing_currency
