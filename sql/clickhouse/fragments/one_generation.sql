-- Condition: the rows of one generation, published or not.
WHERE customer_id = {customer_id:String} AND generation = {generation:UInt64}
