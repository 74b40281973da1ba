-- Grain: kind of charge x currency. Source: cost_by_type. For: /export/by-type if cost_by_type has all filtered columns.
WITH 0 AS none
SELECT
    cost_by_type.charge_category AS charge_category,
    nullIf(cost_by_type.charge_class, '') AS charge_class,
    nullIf(cost_by_type.charge_frequency, '') AS charge_frequency,
    nullIf(cost_by_type.pricing_category, '') AS pricing_category,
    -- include: charge_sums,
    -- include: converted_charges
FROM cost_by_type
-- include: resolved_generations
    -- include: charges_of_days
    AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, cost_by_type.charge_category))
    -- include: currency_filter
GROUP BY charge_category, charge_class, charge_frequency, pricing_category, currency
ORDER BY currency, charge_category, charge_class, charge_frequency, pricing_category
