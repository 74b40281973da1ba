-- Grain: currency. Source: raw_costs. For: /export/total with a tag; no derived table has tags.
SELECT
    -- include: line_item_sums,
    -- include: converted_line_items
-- include: resolved_line_items
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
GROUP BY currency
ORDER BY currency
