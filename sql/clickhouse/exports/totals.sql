-- Grain: currency. Source: cost_trends. For: /export/total without a tag.
WITH 0 AS none
SELECT
    -- include: charge_sums,
    -- include: converted_charges
FROM cost_trends
-- include: resolved_generations
    -- include: charges_of_days
    -- include: charge_filters
    -- include: currency_filter
GROUP BY currency
ORDER BY currency
