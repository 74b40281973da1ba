-- Grain: one line item, the columns of FOCUS 1.2 under their own names; maps as JSON text. Source: raw_costs.
-- For: /export/line-items with focus=1.2.
-- ProviderName and PublisherName are the source's own values if it has them, else its HostProviderName and ServiceProviderName (FOCUS 1.3).
WITH
    coalesce(nullIf(raw_costs.x_columns['x_ProviderName'], ''), host_provider_name, nullIf(raw_costs.service_provider_name, '')) AS provider_name,
    coalesce(nullIf(raw_costs.x_columns['x_PublisherName'], ''), nullIf(raw_costs.service_provider_name, '')) AS publisher_name
SELECT
    -- include: focus_1_2_columns,
    toJSONString(raw_costs.tags) AS Tags
FROM raw_costs
-- include: resolved_generations
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
-- include: line_item_order
