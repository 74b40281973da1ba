-- Grain: one line item, newest charge first; one page. Source: raw_costs.
-- For: costMetrics when it asks only for these columns, as most callers do.
-- A page begins after (charge period start, generation, line number) if has_after is 1.
SELECT
    -- include: line_item_key,
    charge_period_start,
    charge_period_end,
    billed_cost,
    effective_cost,
    list_cost,
    contracted_cost,
    billing_currency,
    charge_category,
    charge_class,
    charge_description,
    nullIf(raw_costs.service_name, '') AS service_name,
    nullIf(raw_costs.service_category, '') AS service_category,
    region_id,
    sub_account_id,
    sub_account_name,
    resource_id,
    resource_name,
    resource_type,
    sku_id,
    consumed_quantity,
    consumed_unit,
    is_estimated,
    tags
FROM raw_costs
-- include: resolved_generations
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
-- include: line_item_page
