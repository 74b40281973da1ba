-- Conditions: the rows of one customer in the generations that answer a question.
-- Included by: the statements of queries/ and exports/.
-- Parameters: customer_id, generations.
WHERE customer_id = {customer_id:String}
    AND generation IN {generations:Array(UInt64)}
