-- One row, 1 or 0: is one generation of a slice published?
SELECT count() > 0
FROM publications
WHERE customer_id = {customer_id:String}
    AND provider = {provider:String}
    AND account_id = {account_id:String}
    AND billing_period = {billing_period:Date}
    AND generation = {generation:UInt64}
