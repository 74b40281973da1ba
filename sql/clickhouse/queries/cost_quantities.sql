-- Grain: group x currency over all days of the period. Source: raw_costs. For: compareCosts, if price and usage effects are asked.
-- units: those of line items that have a quantity; two are enough to say that they differ.
WITH
    -- include: line_item_names
SELECT
    -- include: line_item_groups,
    billing_currency AS currency,
    toString(sum(toDecimal256(ifNull({cost:Identifier}, 0), 18))) AS total,
    countIf(isNull({cost:Identifier})) AS unpriced_line_items,
    count() AS line_items,
    toString(sum(toDecimal256(ifNull(pricing_quantity, 0), 18))) AS quantity,
    countIf(isNull(pricing_quantity)) AS without_quantity,
    countIf(isNotNull(pricing_quantity) AND ifNull(pricing_unit, '') = '') AS without_unit,
    groupUniqArrayIf(2)(ifNull(pricing_unit, ''), isNotNull(pricing_quantity)) AS units
FROM raw_costs
-- include: resolved_generations
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
GROUP BY provider_group, account_group, period_group, sub_account_group, service_group, region_group, charge_category_group, charge_class_group, charge_frequency_group, pricing_category_group, service_provider_group, service_category_group, invoice_group, sku_group, commitment_group, tag_group, tags_group, currency
ORDER BY currency, line_items DESC
LIMIT {limit:UInt32}
