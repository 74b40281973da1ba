-- Grain: group x currency, each with its whole series of (bucket, amount), largest first. Source: cost_by_day.
-- For: costTrends, totalCost and costsByType, when only provider and account are asked.
WITH
    -- include: bucket_names,
    -- include: flat_sums,
    -- include: series_order
SELECT
    -- include: flat_groups,
    -- include: flat_series,
    sum(cost_by_day.line_items) AS line_items
FROM cost_by_day
-- include: resolved_generations
    -- include: charges_of_days
    -- include: currency_filter
GROUP BY provider, account, period, currency
ORDER BY currency, {order:Identifier}, provider, account, period
-- include: series_limit
