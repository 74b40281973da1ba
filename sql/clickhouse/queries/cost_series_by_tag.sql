-- Grain: group x currency, each with its whole series of (bucket, amount), largest first. Source: raw_costs.
-- For: costTrends, totalCost and costsByType, when a tag is asked, or dimensions that no derived table has together.
-- Identifier parameters name a column, or an alias under WITH: `nothing` where a dimension is not asked, daily ... total for the
-- bucket (its first day; total: one bucket, the first day of the period). What is not asked is not read; empty filters fold away.
-- Sums run in 256 bits: a sum of Decimal(38, 18) wraps silently beyond 1.7e20.
WITH arraySort(groupArray((bucket, bucket_amount))) AS points
SELECT
    provider_group AS provider,
    account_group AS account,
    sub_account_group AS sub_account,
    service_group AS service,
    region_group AS region,
    charge_category_group AS charge_category,
    charge_class_group AS charge_class,
    charge_frequency_group AS charge_frequency,
    pricing_category_group AS pricing_category,
    tag_group AS tag,
    billing_currency AS currency,
    points.1 AS dates,
    arrayMap(amount -> toString(amount), points.2) AS amounts,
    toString(sum(bucket_amount)) AS total,
    sum(bucket_unpriced) AS unpriced_line_items,
    sum(bucket_line_items) AS line_items
FROM
(
    WITH
        '' AS nothing,
        toDate(charge_period_start) AS daily,
        toMonday(toDate(charge_period_start)) AS weekly,
        toStartOfMonth(toDate(charge_period_start)) AS monthly,
        {start:Date} AS total,
        ifNull(sub_account_id, '') AS sub_account_key,
        ifNull(region_id, '') AS region_key,
        ifNull(charge_class, '') AS class_key,
        ifNull(charge_frequency, '') AS frequency_key,
        ifNull(pricing_category, '') AS pricing_key,
        ifNull(tags[{tag_key:String}], '') AS tag_key
    SELECT
        {provider:Identifier} AS provider_group,
        {account:Identifier} AS account_group,
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
    WHERE customer_id = {customer_id:String}
        AND generation IN {generations:Array(UInt64)}
        AND billing_period >= {first_period:Date}
        AND billing_period <= {last_period:Date}
        AND charge_period_start >= toDateTime({start:Date}, 'UTC')
        AND charge_period_start < toDateTime({end:Date}, 'UTC')
        AND (empty({sub_accounts:Array(String)}) OR has({sub_accounts:Array(String)}, ifNull(sub_account_id, '')))
        AND (empty({services:Array(String)}) OR has({services:Array(String)}, service_name))
        AND (empty({regions:Array(String)}) OR has({regions:Array(String)}, ifNull(region_id, '')))
        AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, charge_category))
        AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
        AND (empty({tag_values:Array(String)}) OR has({tag_values:Array(String)}, ifNull(tags[{tag_filter:String}], '')))
    GROUP BY provider_group, account_group, sub_account_group, service_group, region_group, charge_category_group, charge_class_group, charge_frequency_group, pricing_category_group, tag_group, billing_currency, bucket
)
GROUP BY provider_group, account_group, sub_account_group, service_group, region_group, charge_category_group, charge_class_group, charge_frequency_group, pricing_category_group, tag_group, currency
ORDER BY currency, sum(bucket_amount) DESC, provider, account, sub_account, service, region, charge_category, charge_class, charge_frequency, pricing_category, tag
LIMIT {limit:UInt32}
