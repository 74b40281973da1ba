-- Grain: group x currency, each with its whole series of (bucket, amount), largest first. Source: cost_by_day.
-- For: costTrends, totalCost and costsByType, when only provider and account are asked.
WITH arraySort(groupArray((bucket, bucket_amount))) AS points
SELECT
    -- include: account_columns,
    -- include: series_columns
FROM
(
    WITH
        -- include: bucket_names
    SELECT
        -- include: account_groups,
        -- include: bucket_sums
    FROM cost_by_day
    -- include: resolved_generations
        -- include: charges_of_days
        -- include: currency_filter
    GROUP BY provider_group, account_group, billing_currency, bucket
)
GROUP BY provider_group, account_group, currency
ORDER BY currency, sum(bucket_amount) DESC, provider, account
LIMIT {limit:UInt32}
