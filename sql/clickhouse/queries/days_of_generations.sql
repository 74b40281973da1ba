-- Grain: day x currency, over many generations. Source: cost_by_day. For: what the service keeps in memory of a customer with many slices.
-- Sums have 256 bits: those of Decimal(38, 18) wrap silently beyond 1.7e20.
SELECT
    charge_date,
    billing_currency,
    sum(toDecimal256(cost_by_day.billed_cost, 18)) AS billed_cost,
    sum(toDecimal256(cost_by_day.effective_cost, 18)) AS effective_cost,
    sum(toDecimal256(cost_by_day.list_cost, 18)) AS list_cost,
    sum(toDecimal256(cost_by_day.contracted_cost, 18)) AS contracted_cost,
    sum(cost_by_day.list_cost_missing) AS list_cost_missing,
    sum(cost_by_day.contracted_cost_missing) AS contracted_cost_missing,
    sum(cost_by_day.line_items) AS line_items
FROM cost_by_day
-- include: resolved_generations
GROUP BY charge_date, billing_currency
