-- Grain: one line item, the columns of FOCUS 1.4 under their own names; maps as JSON text. Source: raw_costs.
-- For: /export/line-items with focus=1.4.
SELECT
    -- include: focus_1_4_columns,
    toJSONString(raw_costs.tags) AS Tags
FROM raw_costs
-- include: resolved_generations
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
-- include: line_item_order
