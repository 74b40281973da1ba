-- Line items and costs of some generations by generation, currency and table: of raw_costs, and of the derived tables whose names match.
-- Sums have 256 bits, because a sum in 128 bits wraps silently past 20 integer digits.
SELECT
    'raw_costs' AS table,
    generation,
    -- include: exact_sums
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
