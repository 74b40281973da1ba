-- One customer.
SELECT customer_id, name, created_at FROM optiinfra.customers WHERE customer_id = %(customer_id)s
