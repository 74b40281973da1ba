-- Aliases: the values of line items by which they are told apart, '' for none, for identifier parameters; `nothing` for a dimension that is
-- not asked. A tag may be null, beside every text. In any case, the name as it is asked goes before others, and a value before none.
'' AS nothing,
CAST(NULL, 'Nullable(String)') AS no_tag,
formatDateTime(raw_costs.billing_period, '%Y-%m') AS period_key,
ifNull(sub_account_id, '') AS sub_account_key,
ifNull(region_id, '') AS region_key,
ifNull(charge_class, '') AS class_key,
ifNull(charge_frequency, '') AS frequency_key,
ifNull(raw_costs.pricing_category, '') AS pricing_key,
ifNull(invoice_id, '') AS invoice_key,
ifNull(sku_id, '') AS sku_key,
ifNull(commitment_discount_id, '') AS commitment_key,
tags[{tag_key:String}] AS tag_key,
arrayMap(name -> tags[name], {tag_names:Array(String)}) AS tags_key,
arrayZip(mapKeys(tags), mapValues(tags)) AS pairs,
arrayMap(name -> arraySort(one -> (isNull(one.2), one.1 != name, one.1), arrayFilter(one -> lowerUTF8(one.1) = lowerUTF8(name), pairs))[1].2, {tag_names:Array(String)}) AS tags_any_case
