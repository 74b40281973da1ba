-- Grain: currency. Source: raw_costs. For: /export/total with a tag; no derived table has tags.
SELECT
    -- include: line_item_sums
FROM raw_costs
-- include: resolved_generations
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
GROUP BY currency
ORDER BY currency
