-- All customers.
SELECT customer_id, name, created_at FROM optiinfra.customers ORDER BY customer_id
