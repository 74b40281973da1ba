-- Conditions: line items whose tag `tag_filter` has one of these values, NULL for line items without a value of that tag, '' for an empty
-- one; an empty list accepts all. The same of more tags, the names of some in any case, of which a value goes before none: their accepted
-- values stand behind '=', and '' is none, because ClickHouse finds NULL in an array of a column that has an empty text.
AND (empty({tag_values:Array(Nullable(String))}) OR has({tag_values:Array(Nullable(String))}, raw_costs.tags[{tag_filter:String}]))
AND (empty({more_tags:Array(String)}) OR arrayAll((name, accepted) -> has(accepted, ifNull(concat('=', raw_costs.tags[name]), '')), {more_tags:Array(String)}, {more_tag_values:Array(Array(String))}))
AND (empty({any_case_tags:Array(String)}) OR arrayAll((name, accepted) -> has(accepted, ifNull(concat('=', arraySort(one -> (isNull(one.2), one.1 != name, one.1), arrayFilter(one -> lowerUTF8(one.1) = lowerUTF8(name), arrayZip(mapKeys(raw_costs.tags), mapValues(raw_costs.tags))))[1].2), '')), {any_case_tags:Array(String)}, {any_case_tag_values:Array(Array(String))}))
