-- Every publication of every slice of a customer, oldest first in each slice, and whether retention has removed it.
SELECT
    -- include: published_columns,
    -- include: is_removed
FROM publications
WHERE customer_id = {customer_id:String}
ORDER BY account_id, billing_period, generation
