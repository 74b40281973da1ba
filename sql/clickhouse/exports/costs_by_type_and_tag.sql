-- Grain: kind of charge x currency. Source: raw_costs. For: /export/by-type with a filter on a column that cost_by_type lacks.
SELECT
    raw_costs.charge_category AS charge_category,
    nullIf(raw_costs.charge_class, '') AS charge_class,
    nullIf(raw_costs.charge_frequency, '') AS charge_frequency,
    nullIf(raw_costs.pricing_category, '') AS pricing_category,
    -- include: line_item_sums,
    -- include: converted_line_items
-- include: resolved_line_items
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
GROUP BY charge_category, charge_class, charge_frequency, pricing_category, currency
ORDER BY currency, charge_category, charge_class, charge_frequency, pricing_category
