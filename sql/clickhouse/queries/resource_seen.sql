-- Grain: resource (account, resource id). Source: raw_costs. For: costsByResource and resource: the first and the last day of some months
-- that has charges for each.
SELECT
    -- include: resource_key,
    toDate(min(charge_period_start)) AS first_seen,
    toDate(max(charge_period_start)) AS last_seen
FROM raw_costs
-- include: resolved_generations
    -- include: line_items_of_days
    AND toStartOfMonth(toDate(charge_period_start)) IN {months:Array(Date)}
    -- include: resources_of_page
GROUP BY account, resource
