-- Grain: row of cost_by_resource: generation, month, resource and its dimensions. Source: cost_by_resource.
-- For: costsByResource: the details of the resources of one page, from the newest generation of each: reading all generations again
-- would cost as much as finding the page. And resource: the months of one, from all generations. The caller merges the few rows, which is faster than merging them here.
SELECT
    generation,
    charge_month,
    -- include: resource_key,
    resource_name AS name,
    resource_type AS type,
    service_name AS service,
    region_id AS region,
    sub_account_id AS sub_account
FROM cost_by_resource
WHERE customer_id = {customer_id:String}
    AND generation IN {newest_generations:Array(UInt64)}
    -- include: resources_of_page
