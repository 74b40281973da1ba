-- Grain: group x currency, each with its whole series of (bucket, amount), largest first. Source: cost_by_type.
-- For: costTrends, totalCost and costsByType, when only provider, account and the kind of charge are asked.
WITH arraySort(groupArray((bucket, bucket_amount))) AS points
SELECT
    -- include: account_columns,
    charge_category_group AS charge_category,
    charge_class_group AS charge_class,
    charge_frequency_group AS charge_frequency,
    pricing_category_group AS pricing_category,
    -- include: series_columns
FROM
(
    WITH
        -- include: bucket_names
    SELECT
        -- include: account_groups,
        {charge_category:Identifier} AS charge_category_group,
        {charge_class:Identifier} AS charge_class_group,
        {charge_frequency:Identifier} AS charge_frequency_group,
        {pricing_category:Identifier} AS pricing_category_group,
        -- include: bucket_sums
    FROM cost_by_type
    -- include: resolved_generations
        -- include: charges_of_days
        AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, charge_category))
        -- include: currency_filter
    GROUP BY provider_group, account_group, charge_category_group, charge_class_group, charge_frequency_group, pricing_category_group, billing_currency, bucket
)
GROUP BY provider_group, account_group, charge_category_group, charge_class_group, charge_frequency_group, pricing_category_group, currency
ORDER BY currency, sum(bucket_amount) DESC, provider, account, charge_category, charge_class, charge_frequency, pricing_category
LIMIT {limit:UInt32}
