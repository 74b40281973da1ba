-- The newest publication of some slices, with all columns; no row for a slice that was never published.
SELECT
    -- include: publication_columns
FROM publications
WHERE (customer_id, provider, account_id, billing_period) IN {slices:Array(Tuple(String, String, String, Date))}
ORDER BY customer_id, provider, account_id, billing_period, generation DESC
LIMIT 1 BY customer_id, provider, account_id, billing_period
