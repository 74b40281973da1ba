-- Grain: group x currency, each with its whole series of (bucket, amount), in the asked order. Source: raw_costs.
-- For: costTrends, totalCost and costsByType, when a tag is asked, or dimensions that no derived table has together.
-- An identifier parameter names a column, or an alias under WITH: `nothing` for a dimension that is not asked, daily ... whole for the
-- bucket (its first day; whole: one bucket, the first day of the period). ClickHouse does not read columns that are not asked, and
-- optimizes empty filters away. Sums have 256 bits, because a sum of Decimal(38, 18) wraps silently beyond 1.7e20.
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
    charge_class_group AS charge_class,
    charge_frequency_group AS charge_frequency,
    pricing_category_group AS pricing_category,
    service_provider_group AS service_provider,
    service_category_group AS service_category,
    invoice_group AS invoice,
    sku_group AS sku,
    commitment_group AS commitment,
    tag_group AS tag,
    tags_group AS tags,
    -- include: series_columns
FROM
(
    WITH
        -- include: line_item_names,
        toDate(charge_period_start) AS daily,
        toMonday(toDate(charge_period_start)) AS weekly,
        toStartOfMonth(toDate(charge_period_start)) AS monthly,
        {start:Date} AS whole
    SELECT
        -- include: line_item_groups,
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
    GROUP BY provider_group, account_group, period_group, sub_account_group, service_group, region_group, charge_category_group, charge_class_group, charge_frequency_group, pricing_category_group, service_provider_group, service_category_group, invoice_group, sku_group, commitment_group, tag_group, tags_group, billing_currency, bucket
)
GROUP BY provider_group, account_group, period_group, sub_account_group, service_group, region_group, charge_category_group, charge_class_group, charge_frequency_group, pricing_category_group, service_provider_group, service_category_group, invoice_group, sku_group, commitment_group, tag_group, tags_group, currency
ORDER BY currency, {order:Identifier}, provider, account, period, sub_account, service, region, charge_category, charge_class, charge_frequency, pricing_category, service_provider, service_category, invoice, sku, commitment, tag, tags
-- include: series_limit
