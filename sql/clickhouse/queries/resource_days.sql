-- Grain: resource (account, resource id, currency), each with its days, in any order, and their amounts. Source: cost_by_resource_day.
-- For: costsByResource in a display currency: the resources of one page; charges without a resource have an empty one.
-- Two levels, because sumMap over the days of a page takes half as long again. Sums have 256 bits, because a sum of Decimal(38, 18) wraps
-- silently beyond 1.7e20.
SELECT account, resource, currency, groupArray(charge_date) AS dates, groupArray(amount) AS amounts
FROM
(
    SELECT
        {account:Identifier} AS account, {resource:Identifier} AS resource, billing_currency AS currency, charge_date,
        sum(toDecimal256({cost:Identifier}, 18)) AS amount
    FROM cost_by_resource_day
    -- include: resolved_generations
        -- include: charges_of_days
        -- include: resources_of_page
        -- include: charge_filters
        -- include: currency_filter
    GROUP BY account, resource, currency, charge_date
)
GROUP BY currency, account, resource
