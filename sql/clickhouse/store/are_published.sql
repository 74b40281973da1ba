-- Which of some generations of slices are published.
SELECT generation
FROM publications
WHERE (customer_id, provider, account_id, billing_period, generation)
    IN {generations:Array(Tuple(String, String, String, Date, UInt64))}
