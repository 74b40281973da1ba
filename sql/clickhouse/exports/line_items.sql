-- Grain: one line item, all columns in snake case; maps as JSON text. Source: raw_costs. For: /export/line-items.
SELECT
    -- include: line_item_key,
    source,
    is_estimated,
    -- include: line_item_columns,
    toJSONString(raw_costs.tags) AS tags,
    toJSONString(raw_costs.x_columns) AS x_columns,
    -- include: converted_costs
-- include: resolved_line_items
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
-- include: line_item_order
