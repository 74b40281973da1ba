-- Customers by id, after a given one; a null limit selects all.
SELECT customer_id, name, created_at
FROM optiinfra.customers
WHERE %(after)s::text IS NULL OR customer_id > %(after)s
ORDER BY customer_id
LIMIT %(first)s
