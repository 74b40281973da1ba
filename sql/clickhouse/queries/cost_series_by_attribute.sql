-- Grain: group x currency, each with its whole series of (bucket, amount), largest first. Source: cost_trends.
-- For: costTrends, totalCost and costsByType, when sub account or region is asked, or several of service, region and charge category.
WITH
    arraySort(groupArray((bucket, bucket_amount))) AS points,
    sum(bucket_amount) AS cost_sum,
    -- include: series_order
SELECT
    provider_group AS provider,
    account_group AS account,
    period_group AS period,
    sub_account_group AS sub_account,
    service_group AS service,
    region_group AS region,
    charge_category_group AS charge_category,
    -- include: series_columns
FROM
(
    WITH
        -- include: bucket_names
    SELECT
        {provider:Identifier} AS provider_group,
        {account:Identifier} AS account_group,
        {period:Identifier} AS period_group,
        {sub_account:Identifier} AS sub_account_group,
        {service:Identifier} AS service_group,
        {region:Identifier} AS region_group,
        {charge_category:Identifier} AS charge_category_group,
        -- include: bucket_sums
    FROM cost_trends
    -- include: resolved_generations
        -- include: charges_of_days
        -- include: charge_filters
        -- include: currency_filter
    GROUP BY provider_group, account_group, period_group, sub_account_group, service_group, region_group, charge_category_group, billing_currency, bucket
)
GROUP BY provider_group, account_group, period_group, sub_account_group, service_group, region_group, charge_category_group, currency
ORDER BY currency, {order:Identifier}, provider, account, period, sub_account, service, region, charge_category
-- include: series_limit
