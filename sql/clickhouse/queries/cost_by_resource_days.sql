-- Grain: resource (account, resource id, currency), largest first, one page. Source: raw_costs.
-- For: costsByResource with a tag, which no derived table has, or without a whole month. The rest is as in cost_by_resource_months.sql.
SELECT
    account_id AS account,
    ifNull(resource_id, '') AS resource,
    billing_currency AS currency,
    sum(toDecimal256(ifNull({cost:Identifier}, 0), 18)) AS cost_sum,
    toString(cost_sum) AS total,
    countIf(isNull({cost:Identifier})) AS unpriced_line_items,
    count() AS line_items,
    argMax(generation, billing_period) AS newest_generation
-- include: resolved_line_items
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
GROUP BY account, resource, currency
-- include: resource_page
