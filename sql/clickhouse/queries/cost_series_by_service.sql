-- Grain: group x currency, each with its whole series of (bucket, amount), largest first. Source: cost_by_service.
-- For: costTrends, totalCost and costsByType, when only provider, account and service are asked.
-- Identifier parameters name a column, or an alias under WITH: `nothing` where a dimension is not asked, daily ... total for the
-- bucket (its first day; total: one bucket, the first day of the period). What is not asked is not read; empty filters fold away.
-- Sums run in 256 bits: a sum of Decimal(38, 18) wraps silently beyond 1.7e20.
WITH arraySort(groupArray((bucket, bucket_amount))) AS points
SELECT
    provider_group AS provider,
    account_group AS account,
    service_group AS service,
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
        0 AS none,
        charge_date AS daily,
        toMonday(charge_date) AS weekly,
        toStartOfMonth(charge_date) AS monthly,
        {start:Date} AS total
    SELECT
        {provider:Identifier} AS provider_group,
        {account:Identifier} AS account_group,
        {service:Identifier} AS service_group,
        billing_currency,
        {granularity:Identifier} AS bucket,
        sum(toDecimal256({cost:Identifier}, 18)) AS bucket_amount,
        sum({unpriced:Identifier}) AS bucket_unpriced,
        sum(line_items) AS bucket_line_items
    FROM cost_by_service
    WHERE customer_id = {customer_id:String}
        AND generation IN {generations:Array(UInt64)}
        AND charge_date >= {start:Date}
        AND charge_date < {end:Date}
        AND (empty({services:Array(String)}) OR has({services:Array(String)}, service_name))
        AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
    GROUP BY provider_group, account_group, service_group, billing_currency, bucket
)
GROUP BY provider_group, account_group, service_group, currency
ORDER BY currency, sum(bucket_amount) DESC, provider, account, service
LIMIT {limit:UInt32}
