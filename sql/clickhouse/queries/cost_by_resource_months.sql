-- Grain: resource (account, resource id, currency), largest first, one page. Source: cost_by_resource.
-- For: costsByResource over whole months. A page begins after (currency, amount, account, resource) if has_after is 1.
-- The provider follows from the account, so it is not a column here: grouping by it took an eighth of the time.
-- Charges without a resource are one row per account and currency, with an empty resource.
-- Sums have 256 bits, because a sum of Decimal(38, 18) wraps silently beyond 1.7e20.
WITH 0 AS none
SELECT
    -- include: resource_key,
    billing_currency AS currency,
    sum(toDecimal256({cost:Identifier}, 18)) AS cost_sum,
    toString(cost_sum) AS total,
    sum({unpriced:Identifier}) AS unpriced_line_items,
    sum(cost_by_resource.line_items) AS line_items,
    argMax(generation, billing_period) AS newest_generation
FROM cost_by_resource
-- include: resolved_generations
    -- include: charges_of_months
    -- include: charge_filters
    -- include: currency_filter
GROUP BY account_id, resource_id, billing_currency
-- include: resource_page
