-- Condition: line items whose tag `tag_filter` has one of these values, NULL for line items without a value of that tag, '' for an empty
-- one; an empty list accepts all.
AND (empty({tag_values:Array(Nullable(String))}) OR has({tag_values:Array(Nullable(String))}, raw_costs.tags[{tag_filter:String}]))
