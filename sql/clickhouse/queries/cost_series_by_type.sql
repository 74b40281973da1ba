-- Grain: group x currency, each with its whole series of (bucket, amount), largest first. Source: cost_by_type.
-- For: costTrends, totalCost and costsByType, when only provider, account and the kind of charge are asked.
WITH
    -- include: bucket_names,
    -- include: flat_sums,
    -- include: series_order
SELECT
    -- include: flat_groups,
    {charge_category:Identifier} AS charge_category,
    {charge_class:Identifier} AS charge_class,
    {charge_frequency:Identifier} AS charge_frequency,
    {pricing_category:Identifier} AS pricing_category,
    -- include: flat_series,
    sum(cost_by_type.line_items) AS line_items
FROM cost_by_type
-- include: resolved_generations
    -- include: charges_of_days
    AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, cost_by_type.charge_category))
    AND (empty({pricing_categories:Array(String)}) OR has({pricing_categories:Array(String)}, cost_by_type.pricing_category))
    -- include: currency_filter
GROUP BY provider, account, period, charge_category, charge_class, charge_frequency, pricing_category, currency
ORDER BY currency, {order:Identifier}, provider, account, period, charge_category, charge_class, charge_frequency, pricing_category
-- include: series_limit
