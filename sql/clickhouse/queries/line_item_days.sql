-- Grain: day x account x currency x the dimensions that are asked, of some generations. Source: raw_costs. For: what the service keeps of
-- line items in memory, to sum by a tag or by dimensions that no derived table has. Sums have 256 bits, as in cost_series_by_tag.
WITH
    -- include: line_item_names
SELECT
    provider,
    account_id,
    generation,
    billing_period,
    toDate(charge_period_start) AS charge_date,
    billing_currency,
    -- include: line_item_groups,
    sum(toDecimal256(raw_costs.billed_cost, 18)) AS billed_cost,
    sum(toDecimal256(raw_costs.effective_cost, 18)) AS effective_cost,
    sum(toDecimal256(ifNull(raw_costs.list_cost, 0), 18)) AS list_cost,
    sum(toDecimal256(ifNull(raw_costs.contracted_cost, 0), 18)) AS contracted_cost,
    countIf(isNull(raw_costs.list_cost)) AS list_cost_missing,
    countIf(isNull(raw_costs.contracted_cost)) AS contracted_cost_missing,
    count() AS line_items
FROM raw_costs
-- include: resolved_generations
GROUP BY ALL
