-- Grain: one line item, the columns of a FOCUS version under their own names; maps as JSON text. Source: raw_costs.
-- For: /export/focus, /export/line-items with focus=, and deliveries; sql_files.read_focus puts in the columns of their version.
-- ProviderName and PublisherName are the source's own values if it has them, else its HostProviderName and ServiceProviderName (FOCUS 1.3).
WITH
    coalesce(nullIf(raw_costs.x_columns['x_ProviderName'], ''), host_provider_name, nullIf(raw_costs.service_provider_name, '')) AS provider_name,
    coalesce(nullIf(raw_costs.x_columns['x_PublisherName'], ''), nullIf(raw_costs.service_provider_name, '')) AS publisher_name
SELECT
    -- include: focus_columns
-- include: resolved_line_items
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
-- include: line_item_order
