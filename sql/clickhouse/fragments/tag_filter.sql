-- Condition: line items whose tag `tag_filter` has one of these values, '' for line items without that tag; an empty list accepts all.
AND (empty({tag_values:Array(String)}) OR has({tag_values:Array(String)}, ifNull(raw_costs.tags[{tag_filter:String}], '')))
