-- Grain: one line item, all columns in snake case; maps as JSON text. Source: raw_costs. For: /export/line-items.
-- In the order of the table's key, so that nothing is sorted and the same question gives the same bytes.
SELECT
    provider,
    account_id AS account,
    billing_period,
    generation,
    line_number,
    source,
    is_estimated,
    allocated_method_details,
    allocated_method_id,
    allocated_resource_id,
    allocated_resource_name,
    allocated_tags,
    availability_zone,
    billed_cost,
    nullIf(raw_costs.billing_account_id, '') AS billing_account_id,
    billing_account_name,
    billing_account_type,
    billing_currency,
    billing_period_end,
    billing_period_start,
    capacity_reservation_id,
    capacity_reservation_status,
    charge_category,
    charge_class,
    charge_description,
    charge_frequency,
    charge_period_end,
    charge_period_start,
    commitment_discount_category,
    commitment_discount_id,
    commitment_discount_name,
    commitment_discount_quantity,
    commitment_discount_status,
    commitment_discount_type,
    commitment_discount_unit,
    commitment_program_eligibility_details,
    consumed_quantity,
    consumed_unit,
    contract_applied,
    contracted_cost,
    contracted_unit_price,
    effective_cost,
    host_provider_name,
    invoice_detail_id,
    invoice_id,
    nullIf(raw_costs.invoice_issuer_name, '') AS invoice_issuer_name,
    list_cost,
    list_unit_price,
    pricing_category,
    pricing_currency,
    pricing_currency_contracted_unit_price,
    pricing_currency_effective_cost,
    pricing_currency_list_unit_price,
    pricing_quantity,
    pricing_unit,
    region_id,
    region_name,
    resource_id,
    resource_name,
    resource_type,
    nullIf(raw_costs.service_category, '') AS service_category,
    nullIf(raw_costs.service_name, '') AS service_name,
    nullIf(raw_costs.service_provider_name, '') AS service_provider_name,
    service_subcategory,
    sku_id,
    sku_meter,
    sku_price_details,
    sku_price_id,
    sub_account_id,
    sub_account_name,
    sub_account_type,
    toJSONString(raw_costs.tags) AS tags,
    toJSONString(raw_costs.x_columns) AS x_columns
FROM raw_costs
WHERE customer_id = {customer_id:String}
    AND generation IN {generations:Array(UInt64)}
    AND billing_period >= {first_period:Date}
    AND billing_period <= {last_period:Date}
    AND raw_costs.charge_period_start >= toDateTime({start:Date}, 'UTC')
    AND raw_costs.charge_period_start < toDateTime({end:Date}, 'UTC')
    AND (empty({sub_accounts:Array(String)}) OR has({sub_accounts:Array(String)}, ifNull(raw_costs.sub_account_id, '')))
    AND (empty({services:Array(String)}) OR has({services:Array(String)}, raw_costs.service_name))
    AND (empty({regions:Array(String)}) OR has({regions:Array(String)}, ifNull(raw_costs.region_id, '')))
    AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, charge_category))
    AND (empty({currencies:Array(String)}) OR has({currencies:Array(String)}, billing_currency))
    AND (empty({tag_values:Array(String)}) OR has({tag_values:Array(String)}, ifNull(raw_costs.tags[{tag_filter:String}], '')))
ORDER BY customer_id, generation, raw_costs.charge_period_start, raw_costs.service_name, line_number
