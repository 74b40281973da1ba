-- Grain: service x sub account x region x SKU x unit: what one account, or a service of it, cost and used on the days `now`, and on the days
-- of [start, before_end). Source: cost_by_sku. For: causes of anomalies. A quantity is null if a line item has none.
SELECT
    service_name, sub_account_id, region_id, sku_id, pricing_unit,
    toString(sumIf(toDecimal256(billed_cost, 18), charge_date < {before_end:Date})) AS cost_before,
    toString(sumIf(toDecimal256(billed_cost, 18), has({now:Array(Date)}, charge_date))) AS cost_now,
    if(
        sumIf(pricing_quantity_missing, charge_date < {before_end:Date}) > 0, NULL,
        toString(sumIf(toDecimal256(pricing_quantity, 18), charge_date < {before_end:Date}))
    ) AS quantity_before,
    if(
        sumIf(pricing_quantity_missing, has({now:Array(Date)}, charge_date)) > 0, NULL,
        toString(sumIf(toDecimal256(pricing_quantity, 18), has({now:Array(Date)}, charge_date)))
    ) AS quantity_now,
    countIf(charge_date < {before_end:Date}) > 0 AS was_before,
    countIf(has({now:Array(Date)}, charge_date)) > 0 AS is_now
FROM cost_by_sku
-- include: resolved_generations
    -- include: charges_of_days
    -- include: usage_of_series
GROUP BY service_name, sub_account_id, region_id, sku_id, pricing_unit
HAVING was_before OR is_now
