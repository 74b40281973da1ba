-- Grain: group x currency, each with its whole series of (bucket, amount), largest first. Source: cost_by_day.
-- For: costTrends, totalCost and costsByType, when only provider and account are asked.
WITH
    -- include: bucket_names,
    -- include: flat_sums
SELECT
    {provider:Identifier} AS provider,
    {account:Identifier} AS account,
    -- include: flat_series,
    sum(cost_by_day.line_items) AS line_items
FROM cost_by_day
-- include: resolved_generations
    -- include: charges_of_days
    -- include: currency_filter
GROUP BY provider, account, currency
ORDER BY currency, cost_sum DESC, provider, account
LIMIT {limit:UInt32}
