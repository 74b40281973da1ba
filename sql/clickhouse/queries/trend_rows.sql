-- Grain: day x account x currency x the dimensions that are asked, of some generations. Source: cost_trends. For: what the service keeps of it
-- in memory: all its dimensions would be too many rows. An identifier parameter names the column, or `nothing` for one that is not asked.
-- Sums have 256 bits: those of Decimal(38, 18) wrap silently beyond 1.7e20.
WITH '' AS nothing
SELECT
    provider,
    account_id,
    generation,
    charge_date,
    billing_currency,
    {sub_account_id:Identifier} AS sub_account_id,
    {service_name:Identifier} AS service_name,
    {region_id:Identifier} AS region_id,
    {charge_category:Identifier} AS charge_category,
    sum(toDecimal256(cost_trends.billed_cost, 18)) AS billed_cost,
    sum(toDecimal256(cost_trends.effective_cost, 18)) AS effective_cost,
    sum(toDecimal256(cost_trends.list_cost, 18)) AS list_cost,
    sum(toDecimal256(cost_trends.contracted_cost, 18)) AS contracted_cost,
    sum(cost_trends.list_cost_missing) AS list_cost_missing,
    sum(cost_trends.contracted_cost_missing) AS contracted_cost_missing,
    sum(cost_trends.line_items) AS line_items
FROM cost_trends
-- include: resolved_generations
GROUP BY
    provider, account_id, generation, charge_date, billing_currency, sub_account_id, service_name, region_id, charge_category
