-- Grain: one name of what sources have beyond FOCUS, of the line items of a query. Source: raw_costs. For: the x_ columns of FOCUS files.
SELECT DISTINCT arrayJoin(raw_costs.x_columns.keys) AS name
-- include: resolved_line_items
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
ORDER BY name
LIMIT {most:UInt32}
