-- Condition: line items whose tag of a key has one of these values, '' where they have no such tag; no value lets all through.
-- Included by: the statements of queries/ and exports/ that read raw_costs when a tag is asked.
-- Parameters: tag_values, tag_filter.
AND (empty({tag_values:Array(String)}) OR has({tag_values:Array(String)}, ifNull(raw_costs.tags[{tag_filter:String}], '')))
