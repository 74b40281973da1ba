-- Grain: resource (account, resource id, currency), largest first, one page. Sources: cost_by_resource for the whole months of the
-- period, raw_costs for the days before and after them.
-- For: costsByResource over whole months and some days; otherwise as cost_by_resource_months.sql.
SELECT
    account_id AS account,
    resource_id AS resource,
    billing_currency AS currency,
    sum(toDecimal256(cost, 18)) AS cost_sum,
    toString(cost_sum) AS total,
    sum(unpriced) AS unpriced_line_items,
    sum(items) AS line_items,
    argMax(generation, billing_period) AS newest_generation
FROM
(
    WITH 0 AS none
    SELECT
        account_id, resource_id, billing_currency, billing_period, generation,
        {cost:Identifier} AS cost, {unpriced:Identifier} AS unpriced, line_items AS items
    FROM cost_by_resource
    WHERE customer_id = {customer_id:String}
        AND generation IN {generations:Array(UInt64)}
        AND charge_month >= {first_month:Date}
        AND charge_month < {end_month:Date}
        AND (empty({sub_accounts:Array(String)}) OR has({sub_accounts:Array(String)}, sub_account_id))
        AND (empty({services:Array(String)}) OR has({services:Array(String)}, service_name))
        AND (empty({regions:Array(String)}) OR has({regions:Array(String)}, region_id))
        AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, charge_category))
        AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
    UNION ALL
    SELECT
        account_id, ifNull(raw_costs.resource_id, '') AS resource_id, billing_currency, billing_period, generation,
        ifNull({cost:Identifier}, 0) AS cost, isNull({cost:Identifier}) AS unpriced, 1 AS items
    FROM raw_costs
    WHERE customer_id = {customer_id:String}
        AND generation IN {edge_generations:Array(UInt64)}
        AND billing_period IN {edge_periods:Array(Date)}
        AND ((charge_period_start >= toDateTime({start:Date}, 'UTC') AND charge_period_start < toDateTime({first_month:Date}, 'UTC'))
            OR (charge_period_start >= toDateTime({end_month:Date}, 'UTC') AND charge_period_start < toDateTime({end:Date}, 'UTC')))
        AND (empty({sub_accounts:Array(String)}) OR has({sub_accounts:Array(String)}, ifNull(sub_account_id, '')))
        AND (empty({services:Array(String)}) OR has({services:Array(String)}, service_name))
        AND (empty({regions:Array(String)}) OR has({regions:Array(String)}, ifNull(region_id, '')))
        AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, charge_category))
        AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
)
GROUP BY account_id, resource_id, billing_currency
HAVING {has_after:UInt8} = 0
    OR (currency, -cost_sum, account, resource)
        > ({after_currency:String}, -toDecimal256({after_amount:String}, 18), {after_account:String}, {after_resource:String})
ORDER BY currency, cost_sum DESC, account, resource
LIMIT {limit:UInt32}
