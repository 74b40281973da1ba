-- Grain: one line item, newest charge first; one page. Source: raw_costs.
-- For: costMetrics, which leaves the columns out that nobody selected: each costs about half a millisecond of planning.
-- A page begins after (charge period start, generation, line number) if has_after is 1.
SELECT
    -- include: line_item_key,
    source,
    is_estimated,
    -- include: line_item_columns,
    tags,
    x_columns
-- include: resolved_line_items
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
-- include: line_item_page
