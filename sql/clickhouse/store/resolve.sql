-- The newest publication of every slice of a customer: what readers see now. The higher generation is newer,
-- whatever the clock said: one that a stopped process inserts late must not take the place of its successor.
SELECT
    -- include: published_columns,
    false AS is_removed
FROM publications
WHERE customer_id = {customer_id:String}
ORDER BY account_id, billing_period, generation DESC
LIMIT 1 BY account_id, billing_period
