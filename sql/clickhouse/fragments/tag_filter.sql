-- Condition: line items whose tag of a key has one of these values, '' where they have no such tag; no value lets all through.
AND (empty({tag_values:Array(String)}) OR has({tag_values:Array(String)}, ifNull(raw_costs.tags[{tag_filter:String}], '')))
