-- Grain: resource (account, resource id, currency), largest first, one page. Source: raw_costs.
-- For: costsByResource with a tag, which no derived table has, or over days only; otherwise as cost_by_resource_months.sql.
SELECT
    account_id AS account,
    ifNull(resource_id, '') AS resource,
    billing_currency AS currency,
    sum(toDecimal256(ifNull({cost:Identifier}, 0), 18)) AS cost_sum,
    toString(cost_sum) AS total,
    countIf(isNull({cost:Identifier})) AS unpriced_line_items,
    count() AS line_items,
    argMax(generation, billing_period) AS newest_generation
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
GROUP BY account, resource, currency
HAVING {has_after:UInt8} = 0
    OR (currency, -cost_sum, account, resource)
        > ({after_currency:String}, -toDecimal256({after_amount:String}, 18), {after_account:String}, {after_resource:String})
ORDER BY currency, cost_sum DESC, account, resource
LIMIT {limit:UInt32}
