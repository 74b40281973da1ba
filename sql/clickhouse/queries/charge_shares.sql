-- Grain: series x kind of charge x region x value of a tag x currency: what the days of a period cost. Source: raw_costs.
-- For: splitting forecasts by a tag, which no derived table has. An identifier parameter names an alias, or `nothing` for a dimension that
-- is not asked. Amounts are binary fractions: forecasts are estimates.
WITH '' AS nothing, ifNull(raw_costs.sub_account_id, '') AS sub_account_key, ifNull(raw_costs.region_id, '') AS region_key
SELECT
    provider, account_id, {sub_account:Identifier} AS sub_account, service_name, {region:Identifier} AS region,
    raw_costs.tags[{tag_key:String}] AS tag,
    -- include: charge_kind,
    charge_category, billing_currency,
    sum(toFloat64(ifNull({cost:Identifier}, 0))) AS amount
FROM raw_costs
-- include: resolved_generations
    -- include: line_items_of_days
GROUP BY
    provider, account_id, sub_account, service_name, region, tag, charge_category, charge_class, charge_frequency, billing_currency
