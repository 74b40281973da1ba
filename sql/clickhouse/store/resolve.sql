-- The newest publication of every slice of a customer: what readers see now. Of two at one instant, the higher generation is newer.
SELECT
    -- include: published_columns,
    false AS is_removed
FROM publications
WHERE customer_id = {customer_id:String}
ORDER BY account_id, billing_period, publications.published_at DESC, generation DESC
LIMIT 1 BY account_id, billing_period
