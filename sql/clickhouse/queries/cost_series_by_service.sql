-- Grain: group x currency, each with its whole series of (bucket, amount), largest first. Source: cost_by_service.
-- For: costTrends, totalCost and costsByType, when only provider, account and service are asked.
WITH arraySort(groupArray((bucket, bucket_amount))) AS points
SELECT
    -- include: account_columns,
    service_group AS service,
    -- include: series_columns
FROM
(
    WITH
        -- include: bucket_names
    SELECT
        -- include: account_groups,
        {service:Identifier} AS service_group,
        -- include: bucket_sums
    FROM cost_by_service
    -- include: resolved_generations
        -- include: charges_of_days
        AND (empty({services:Array(String)}) OR has({services:Array(String)}, service_name))
        -- include: currency_filter
    GROUP BY provider_group, account_group, service_group, billing_currency, bucket
)
GROUP BY provider_group, account_group, service_group, currency
ORDER BY currency, sum(bucket_amount) DESC, provider, account, service
LIMIT {limit:UInt32}
