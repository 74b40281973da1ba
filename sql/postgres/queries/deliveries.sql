-- The deliveries of a customer, or one of them, or all, by id.
SELECT
    delivery_id,
    customer_id,
    settings,
    created_at
FROM optiinfra.deliveries
WHERE customer_id = coalesce(%(customer_id)s, customer_id) AND delivery_id = coalesce(%(delivery_id)s, delivery_id)
ORDER BY delivery_id
