-- Grain: group x currency, each with its whole series of (bucket, amount), largest first. Source: raw_costs.
-- For: costTrends, totalCost and costsByType, when a tag is asked, or dimensions that no derived table has together.
-- An identifier parameter names a column, or an alias under WITH: `nothing` for a dimension that is not asked, daily ... whole for the
-- bucket (its first day; whole: one bucket, the first day of the period). ClickHouse does not read columns that are not asked, and
-- optimizes empty filters away. Sums have 256 bits, because a sum of Decimal(38, 18) wraps silently beyond 1.7e20.
WITH arraySort(groupArray((bucket, bucket_amount))) AS points
SELECT
    -- include: account_columns,
    sub_account_group AS sub_account,
    service_group AS service,
    region_group AS region,
    charge_category_group AS charge_category,
    charge_class_group AS charge_class,
    charge_frequency_group AS charge_frequency,
    pricing_category_group AS pricing_category,
    tag_group AS tag,
    -- include: series_columns
FROM
(
    WITH
        '' AS nothing,
        CAST(NULL, 'Nullable(String)') AS no_tag,
        toDate(charge_period_start) AS daily,
        toMonday(toDate(charge_period_start)) AS weekly,
        toStartOfMonth(toDate(charge_period_start)) AS monthly,
        {start:Date} AS whole,
        ifNull(sub_account_id, '') AS sub_account_key,
        ifNull(region_id, '') AS region_key,
        ifNull(charge_class, '') AS class_key,
        ifNull(charge_frequency, '') AS frequency_key,
        ifNull(pricing_category, '') AS pricing_key,
        tags[{tag_key:String}] AS tag_key
    SELECT
        -- include: account_groups,
        {sub_account:Identifier} AS sub_account_group,
        {service:Identifier} AS service_group,
        {region:Identifier} AS region_group,
        {charge_category:Identifier} AS charge_category_group,
        {charge_class:Identifier} AS charge_class_group,
        {charge_frequency:Identifier} AS charge_frequency_group,
        {pricing_category:Identifier} AS pricing_category_group,
        {tag:Identifier} AS tag_group,
        billing_currency,
        {granularity:Identifier} AS bucket,
        sum(toDecimal256(ifNull({cost:Identifier}, 0), 18)) AS bucket_amount,
        countIf(isNull({cost:Identifier})) AS bucket_unpriced,
        count() AS bucket_line_items
    FROM raw_costs
    -- include: resolved_generations
        -- include: line_items_of_days
        -- include: line_item_filters
        -- include: tag_filter
    GROUP BY provider_group, account_group, sub_account_group, service_group, region_group, charge_category_group, charge_class_group, charge_frequency_group, pricing_category_group, tag_group, billing_currency, bucket
)
GROUP BY provider_group, account_group, sub_account_group, service_group, region_group, charge_category_group, charge_class_group, charge_frequency_group, pricing_category_group, tag_group, currency
ORDER BY currency, sum(bucket_amount) DESC, provider, account, sub_account, service, region, charge_category, charge_class, charge_frequency, pricing_category, tag
LIMIT {limit:UInt32}
