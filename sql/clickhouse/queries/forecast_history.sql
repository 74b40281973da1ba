-- Grain: series x kind of charge x commitment x currency, each with its days (counted from `start`) and what they cost. Source: cost_by_charge.
-- For: forecasts. An identifier parameter names a column, or `nothing` for a dimension that is not asked. Amounts are binary fractions:
-- forecasts are estimates.
WITH '' AS nothing, sumMap([toInt32(charge_date - {start:Date})], [toFloat64({cost:Identifier})]) AS series
SELECT
    provider, account_id, {sub_account:Identifier} AS sub_account, service_name, {region:Identifier} AS region,
    charge_category, charge_class, charge_frequency, commitment, billing_currency,
    series.1 AS days, series.2 AS amounts
FROM cost_by_charge
-- include: resolved_generations
    -- include: charges_of_days
GROUP BY
    provider, account_id, sub_account, service_name, region, charge_category, charge_class, charge_frequency, commitment, billing_currency
