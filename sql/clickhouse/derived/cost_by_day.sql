-- cost_by_day of one generation: day x currency. Source: raw_costs.
SELECT
    customer_id,
    provider,
    account_id,
    generation,
    billing_period,
    toDate(charge_period_start) AS charge_date,
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
    customer_id, provider, account_id, generation, billing_period, charge_date, billing_currency
