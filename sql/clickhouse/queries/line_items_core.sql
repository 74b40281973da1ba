-- Grain: one line item, newest charge first; one page. Source: raw_costs.
-- For: costMetrics when it asks only for these columns, which most people do. A page begins after (charge period start, generation, line number) if has_after is 1.
SELECT
    provider,
    account_id AS account,
    billing_period,
    generation,
    line_number,
    charge_period_start,
    charge_period_end,
    billed_cost,
    effective_cost,
    list_cost,
    contracted_cost,
    billing_currency,
    charge_category,
    charge_class,
    charge_description,
    nullIf(raw_costs.service_name, '') AS service_name,
    nullIf(raw_costs.service_category, '') AS service_category,
    region_id,
    sub_account_id,
    sub_account_name,
    resource_id,
    resource_name,
    resource_type,
    sku_id,
    consumed_quantity,
    consumed_unit,
    is_estimated,
    tags
FROM raw_costs
WHERE customer_id = {customer_id:String}
    AND generation IN {generations:Array(UInt64)}
    AND billing_period >= {first_period:Date}
    AND billing_period <= {last_period:Date}
    AND charge_period_start >= toDateTime({start:Date}, 'UTC')
    AND charge_period_start < toDateTime({end:Date}, 'UTC')
    AND (empty({sub_accounts:Array(String)}) OR has({sub_accounts:Array(String)}, ifNull(raw_costs.sub_account_id, '')))
    AND (empty({services:Array(String)}) OR has({services:Array(String)}, raw_costs.service_name))
    AND (empty({regions:Array(String)}) OR has({regions:Array(String)}, ifNull(raw_costs.region_id, '')))
    AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, charge_category))
    AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
    AND (empty({tag_values:Array(String)}) OR has({tag_values:Array(String)}, ifNull(tags[{tag_filter:String}], '')))
    AND ({has_after:UInt8} = 0 OR (charge_period_start <= {after_start:DateTime('UTC')}
        AND (charge_period_start < {after_start:DateTime('UTC')}
            OR (generation, line_number) > ({after_generation:UInt64}, {after_line_number:UInt32}))))
ORDER BY charge_period_start DESC, generation, line_number
LIMIT {limit:UInt32}
