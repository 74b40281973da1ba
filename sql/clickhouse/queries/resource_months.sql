-- Grain: resource (account, resource id). Source: cost_by_resource. For: costsByResource and resource: the first and the last month that has
-- charges for each, which tell where to look for its days.
SELECT
    -- include: resource_key,
    min(charge_month) AS first_month,
    max(charge_month) AS last_month
FROM cost_by_resource
-- include: resolved_generations
    -- include: resources_of_page
GROUP BY account, resource
