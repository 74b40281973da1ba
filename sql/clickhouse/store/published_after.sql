-- Every publication of a customer with a higher generation than this, of which a slice may have several.
SELECT
    -- include: published_columns,
    false AS is_removed
FROM publications
WHERE customer_id = {customer_id:String}
    AND generation > {generation:UInt64}
