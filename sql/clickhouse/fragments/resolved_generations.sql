-- Conditions: the rows of one customer in the generations that answer a query.
WHERE customer_id = {customer_id:String}
    AND generation IN {generations:Array(UInt64)}
