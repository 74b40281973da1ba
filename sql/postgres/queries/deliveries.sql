-- The deliveries of a customer, or one of them, or all, by id.
SELECT
    delivery_id,
    customer_id,
    settings,
    created_at
FROM optiinfra.deliveries
WHERE (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
    AND (%(delivery_id)s::text IS NULL OR delivery_id = %(delivery_id)s)
ORDER BY delivery_id
