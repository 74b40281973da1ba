-- Grain: currency. Source: cost_trends. For: /export/total without a tag.
-- Sums run in 256 bits; one that the 38 digits of the answer cannot hold is an error of the engine, never a wrapped number.
WITH 0 AS none
SELECT
    -- include: charge_sums
FROM cost_trends
-- include: resolved_generations
    -- include: charges_of_days
    -- include: charge_filters
    -- include: currency_filter
GROUP BY currency
ORDER BY currency
