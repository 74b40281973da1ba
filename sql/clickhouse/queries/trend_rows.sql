-- Grain: day x account x currency x the dimensions that are asked, of some generations. Source: cost_trends. For: what the service keeps of it
-- in memory: all its dimensions would be too many rows. An identifier parameter names the column, or `nothing` for one that is not asked.
WITH '' AS nothing
SELECT
    provider,
    account_id,
    generation,
    billing_period,
    charge_date,
    billing_currency,
    {sub_account_id:Identifier} AS sub_account_id,
    {service_name:Identifier} AS service_name,
    {region_id:Identifier} AS region_id,
    {charge_category:Identifier} AS charge_category,
    -- include: derived_sums
FROM cost_trends AS derived
-- include: resolved_generations
GROUP BY
    provider, account_id, generation, billing_period, charge_date, billing_currency, sub_account_id, service_name, region_id, charge_category
