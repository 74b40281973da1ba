-- Line items and costs of some generations by generation, currency and derived table (the tables whose names match); comparable with raw_sums.sql.
SELECT
    _table AS table,
    derived.generation AS generation,
    derived.billing_currency AS billing_currency,
    -- include: derived_sums
FROM merge(currentDatabase(), {tables:String}) AS derived
WHERE derived.customer_id IN {customers:Array(String)} AND derived.generation IN {generations:Array(UInt64)}
GROUP BY table, generation, billing_currency
