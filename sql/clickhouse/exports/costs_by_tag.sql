-- Grain: group x currency x bucket of days. Source: raw_costs. For: /export/trends when a tag is asked.
-- Identifier parameters name an alias under WITH: `nothing` where a dimension is not asked, daily ... monthly for the bucket.
-- Sums run in 256 bits; one that the 38 digits of the answer cannot hold is an error of the engine, never a wrapped number.
WITH
    CAST(NULL, 'Nullable(String)') AS nothing,
    toDate(charge_period_start) AS daily,
    toMonday(toDate(charge_period_start)) AS weekly,
    toStartOfMonth(toDate(charge_period_start)) AS monthly,
    raw_costs.tags[{tag_key:String}] AS tag_key
SELECT
    {granularity:Identifier} AS date,
    nullIf({provider:Identifier}, '') AS provider,
    nullIf({account:Identifier}, '') AS account,
    nullIf({sub_account:Identifier}, '') AS sub_account,
    nullIf({service:Identifier}, '') AS service,
    nullIf({region:Identifier}, '') AS region,
    nullIf({charge_category:Identifier}, '') AS charge_category,
    nullIf({tag:Identifier}, '') AS tag,
    billing_currency AS currency,
    toDecimal128(sum(toDecimal256(ifNull({cost:Identifier}, 0), 18)), 18) AS cost,
    count() AS line_items,
    countIf(isNull({cost:Identifier})) AS unpriced_line_items
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
    AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, raw_costs.charge_category))
    AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
    AND (empty({tag_values:Array(String)}) OR has({tag_values:Array(String)}, ifNull(raw_costs.tags[{tag_filter:String}], '')))
GROUP BY date, provider, account, sub_account, service, region, charge_category, tag, currency
ORDER BY currency, date, provider, account, sub_account, service, region, charge_category, tag
