-- Grain: resource (account, resource id) x currency, largest first. Sources: cost_by_resource for the whole months of the period,
-- raw_costs for the days before and after them. With a tag, or without a whole month, first_month and end_month are the end of the
-- period, so that raw_costs serves all days. For: /export/by-resource. Name and type are those of the newest billing period with charges.
-- Sums have 256 bits; if a sum does not fit into the 38 digits of the answer, ClickHouse raises an error and never wraps the number.
SELECT
    any(row_provider) AS provider,
    account_id AS account,
    nullIf(resource, '') AS resource_id,
    if(resource = '', NULL, nullIf(argMax(name, (billing_period, name)), '')) AS resource_name,
    if(resource = '', NULL, nullIf(argMax(type, (billing_period, type)), '')) AS resource_type,
    billing_currency AS currency,
    toDecimal128(sum(toDecimal256(amount, 18)), 18) AS cost,
    sum(items) AS line_items,
    sum(without_price) AS unpriced_line_items,
    -- include: converted_charges
FROM
(
    WITH 0 AS none
    SELECT
        provider AS row_provider, account_id, resource_id AS resource, resource_name AS name, toString(resource_type) AS type,
        billing_currency, billing_period, charge_month AS charge_date, {cost:Identifier} AS amount, {unpriced:Identifier} AS without_price, line_items AS items
    FROM cost_by_resource
    -- include: resolved_generations
        -- include: charges_of_months
        -- include: charge_filters
        -- include: currency_filter
    UNION ALL
    SELECT
        provider AS row_provider, account_id, ifNull(resource_id, '') AS resource, ifNull(resource_name, '') AS name,
        ifNull(toString(resource_type), '') AS type, billing_currency, billing_period, toDate(charge_period_start) AS charge_date,
        ifNull({cost:Identifier}, 0) AS amount, isNull({cost:Identifier}) AS without_price, 1 AS items
    FROM raw_costs
    -- include: line_items_of_edge_days
        -- include: line_item_filters
        -- include: tag_filter
)
GROUP BY account, resource, currency
ORDER BY currency, cost DESC, account, resource
