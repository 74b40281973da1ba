-- cost_trends of one generation: day x sub account x service x region x charge category x currency. Source: raw_costs.
SELECT
    customer_id,
    provider,
    account_id,
    generation,
    billing_period,
    toDate(charge_period_start) AS charge_date,
    ifNull(raw_costs.sub_account_id, '') AS sub_account_id,
    service_name,
    ifNull(raw_costs.region_id, '') AS region_id,
    charge_category,
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
    customer_id, provider, account_id, generation, billing_period, charge_date, sub_account_id, service_name, region_id, charge_category, billing_currency
