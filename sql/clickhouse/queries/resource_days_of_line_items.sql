-- Grain: resource (account, resource id, currency), each with its days, in any order, and their amounts. Source: raw_costs.
-- For: costsByResource in a display currency with filters that cost_by_resource_day lacks: the resources of one page; charges without a resource have an empty one.
-- Sums have 256 bits, because a sum of Decimal(38, 18) wraps silently beyond 1.7e20.
SELECT account, resource, currency, groupArray(charge_day) AS dates, groupArray(amount) AS amounts
FROM
(
    SELECT
        account_id AS account, ifNull(raw_costs.resource_id, '') AS resource, billing_currency AS currency,
        toDate(charge_period_start) AS charge_day, sum(toDecimal256(ifNull({cost:Identifier}, 0), 18)) AS amount
    FROM raw_costs
    -- include: resolved_generations
        -- include: line_items_of_days
        -- include: line_item_filters
        -- include: tag_filter
    GROUP BY account, resource, currency, charge_day
)
GROUP BY currency, account, resource
