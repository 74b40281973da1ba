-- Grain: series x kind of charge x what forecasts are split by x currency: what the days of a period cost. Source: raw_costs.
-- For: splitting forecasts by what no derived table has. An identifier parameter names an alias, or `nothing` for a dimension that is not
-- asked. tags_as_asked: the tags of tag_names, those of which tags_ignore_case is true in any case. Amounts are binary fractions:
-- forecasts are estimates.
WITH
    -- include: line_item_names,
    arrayMap((own, of_any_case, ignores) -> if(ignores, of_any_case, own), tags_key, tags_any_case, {tags_ignore_case:Array(Bool)}) AS tags_as_asked
SELECT
    -- include: line_item_groups,
    billing_currency,
    sum(toFloat64(ifNull({cost:Identifier}, 0))) AS amount
-- include: resolved_line_items
    -- include: line_items_of_days
GROUP BY ALL
