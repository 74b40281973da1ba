-- Condition: resources of one page. IN and not has, because only IN uses the primary key and the bloom filters.
AND resource_id IN {resources:Array(String)}
