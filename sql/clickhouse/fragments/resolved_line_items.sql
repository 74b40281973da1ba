-- FROM and WHERE: the line items of one customer in the generations that answer a query.
FROM raw_costs
WHERE customer_id = {customer_id:String} AND generation IN {generations:Array(UInt64)}
