-- Grain: resource (account, resource id, currency), largest first, one page. Sources: cost_by_resource for the whole months of the
-- period, raw_costs for the days before and after them.
-- For: costsByResource over whole months and further days. The rest is as in cost_by_resource_months.sql.
SELECT
    -- include: resource_key,
    billing_currency AS currency,
    sum(toDecimal256(cost, 18)) AS cost_sum,
    toString(cost_sum) AS total,
    sum(unpriced) AS unpriced_line_items,
    sum(items) AS line_items,
    argMax(generation, billing_period) AS newest_generation
FROM
(
    WITH 0 AS none
    SELECT
        account_id, resource_id, billing_currency, billing_period, generation,
        {cost:Identifier} AS cost, {unpriced:Identifier} AS unpriced, line_items AS items
    FROM cost_by_resource
    -- include: resolved_generations
        -- include: charges_of_months
        -- include: charge_filters
        -- include: currency_filter
    UNION ALL
    SELECT
        account_id, ifNull(raw_costs.resource_id, '') AS resource_id, billing_currency, billing_period, generation,
        ifNull({cost:Identifier}, 0) AS cost, isNull({cost:Identifier}) AS unpriced, 1 AS items
    FROM raw_costs
    -- include: line_items_of_edge_days
        -- include: line_item_filters
)
GROUP BY account_id, resource_id, billing_currency
-- include: resource_page
