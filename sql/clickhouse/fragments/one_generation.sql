-- Condition: the rows of one generation, published or not.
-- Included by: derived/*.sql, and the statements of store/ about a generation that is being made or removed.
-- Parameters: customer_id, generation.
WHERE customer_id = {customer_id:String} AND generation = {generation:UInt64}
