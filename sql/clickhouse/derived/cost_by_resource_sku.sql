-- cost_by_resource_sku of some generations: day x resource x tags x sub account x service x region x charge category, class and frequency
-- x SKU x unit x currency. Source: raw_costs. What a line item lacks is ''; quantities of one unit only are added.
SELECT
    -- include: generation_key,
    -- include: charge_day,
    -- include: charge_dimensions,
    -- include: charge_kind,
    ifNull(raw_costs.sku_id, '') AS sku_id,
    ifNull(raw_costs.pricing_unit, '') AS pricing_unit,
    ifNull(raw_costs.resource_id, '') AS resource_id, raw_costs.tags AS tags,
    sum(ifNull(raw_costs.pricing_quantity, 0)) AS pricing_quantity,
    countIf(isNull(raw_costs.pricing_quantity)) AS pricing_quantity_missing,
    -- include: cost_sums
FROM raw_costs
-- include: generations
GROUP BY
    customer_id, provider, account_id, generation, billing_period, charge_date, sub_account_id, service_name, region_id, charge_category, charge_class, charge_frequency, sku_id, pricing_unit, resource_id, tags, billing_currency
