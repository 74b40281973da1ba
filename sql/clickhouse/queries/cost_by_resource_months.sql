-- Grain: resource (account, resource id, currency), largest first, one page. Source: cost_by_resource.
-- For: costsByResource over whole months. A page begins after (currency, amount, account, resource) if has_after is 1.
-- The provider follows from the account, so it is no column here: grouping by it took an eighth of the time.
-- Charges without a resource are one row per account, with an empty resource.
-- Sums run in 256 bits: a sum of Decimal(38, 18) wraps silently beyond 1.7e20.
WITH 0 AS none
SELECT
    account_id AS account,
    resource_id AS resource,
    billing_currency AS currency,
    sum(toDecimal256({cost:Identifier}, 18)) AS cost_sum,
    toString(cost_sum) AS total,
    sum({unpriced:Identifier}) AS unpriced_line_items,
    sum(cost_by_resource.line_items) AS line_items,
    argMax(generation, billing_period) AS newest_generation
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
GROUP BY account_id, resource_id, billing_currency
HAVING {has_after:UInt8} = 0
    OR (currency, -cost_sum, account, resource)
        > ({after_currency:String}, -toDecimal256({after_amount:String}, 18), {after_account:String}, {after_resource:String})
ORDER BY currency, cost_sum DESC, account, resource
LIMIT {limit:UInt32}
