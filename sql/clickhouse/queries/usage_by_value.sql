-- Grain: value of a dimension: resource, or a tag of choice, null for none. What each cost and used on the days `now`, and on the days of
-- [start, before_end), by service, sub account, region, SKU and unit. Those that are farthest off `expected_share` of what they cost before.
-- Source: cost_by_resource_sku. For: causes of anomalies. A quantity is null if a line item has none.
SELECT
    value,
    groupArray((service_name, sub_account_id, region_id, sku_id, pricing_unit, cost_before, cost_now, quantity_before, quantity_now, was_before, is_now)) AS places
FROM
(
    WITH nullIf(resource_id, '') AS resource, tags[{tag_key:String}] AS tag, has({now:Array(Date)}, charge_date) AS of_now
    SELECT
        {dimension:Identifier} AS value, service_name, sub_account_id, region_id, sku_id, pricing_unit,
        toString(sumIf(toDecimal256(billed_cost, 18), charge_date < {before_end:Date})) AS cost_before,
        toString(sumIf(toDecimal256(billed_cost, 18), of_now)) AS cost_now,
        if(sumIf(pricing_quantity_missing, charge_date < {before_end:Date}) > 0, NULL, toString(sumIf(toDecimal256(pricing_quantity, 18), charge_date < {before_end:Date}))) AS quantity_before,
        if(sumIf(pricing_quantity_missing, of_now) > 0, NULL, toString(sumIf(toDecimal256(pricing_quantity, 18), of_now))) AS quantity_now,
        countIf(charge_date < {before_end:Date}) > 0 AS was_before,
        countIf(of_now) > 0 AS is_now,
        sumIf(toFloat64(billed_cost), of_now) - {expected_share:Float64} * sumIf(toFloat64(billed_cost), charge_date < {before_end:Date}) AS moved
    FROM cost_by_resource_sku
    -- include: resolved_generations
        -- include: charges_of_days
        -- include: usage_of_series
    GROUP BY value, service_name, sub_account_id, region_id, sku_id, pricing_unit
    HAVING was_before OR is_now
)
GROUP BY value
ORDER BY abs(sum(moved)) DESC, value
LIMIT {limit:UInt32}
