-- Condition: the rows of some generations, published or not. A number belongs to one customer only; naming the customers lets ClickHouse
-- use the key of the table.
WHERE customer_id IN {customers:Array(String)} AND generation IN {generations:Array(UInt64)}
