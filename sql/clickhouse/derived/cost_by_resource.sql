-- cost_by_resource of one generation: month of the charge x resource x service x region x sub account x charge category x currency. Source: raw_costs.
-- Name and type are those of the last charge, of several at one instant those of the last line.
WITH bitShiftLeft(toUInt64(toUnixTimestamp(raw_costs.charge_period_start)), 32) + line_number AS recency
SELECT
    customer_id,
    provider,
    account_id,
    generation,
    billing_period,
    toStartOfMonth(charge_period_start) AS charge_month,
    ifNull(raw_costs.sub_account_id, '') AS sub_account_id,
    service_name,
    ifNull(raw_costs.region_id, '') AS region_id,
    charge_category,
    ifNull(raw_costs.resource_id, '') AS resource_id,
    ifNull(argMax(raw_costs.resource_name, recency), '') AS resource_name,
    toLowCardinality(ifNull(argMax(raw_costs.resource_type, recency), '')) AS resource_type,
    billing_currency,
    sum(billed_cost) AS billed_cost,
    sum(effective_cost) AS effective_cost,
    sum(ifNull(raw_costs.list_cost, 0)) AS list_cost,
    sum(ifNull(raw_costs.contracted_cost, 0)) AS contracted_cost,
    countIf(isNull(raw_costs.list_cost)) AS list_cost_missing,
    countIf(isNull(raw_costs.contracted_cost)) AS contracted_cost_missing,
    count() AS line_items
FROM raw_costs
WHERE customer_id = {customer_id:String} AND generation = {generation:UInt64}
GROUP BY
    customer_id, provider, account_id, generation, billing_period, charge_month, sub_account_id, service_name, region_id, charge_category, resource_id, billing_currency
