-- Grain: group x currency, each with its whole series of (bucket, amount), largest first. Source: cost_by_service.
-- For: costTrends, totalCost and costsByType, when only provider, account and service are asked.
WITH
    -- include: bucket_names,
    -- include: flat_sums,
    -- include: series_order
SELECT
    -- include: flat_groups,
    {service:Identifier} AS service,
    -- include: flat_series,
    sum(cost_by_service.line_items) AS line_items
FROM cost_by_service
-- include: resolved_generations
    -- include: charges_of_days
    AND (empty({services:Array(String)}) OR has({services:Array(String)}, service_name))
    -- include: currency_filter
GROUP BY provider, account, period, service, currency
ORDER BY currency, {order:Identifier}, provider, account, period, service
-- include: series_limit
