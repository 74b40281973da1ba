-- Add a customer; one that is there keeps its name unless another is given.
INSERT INTO optiinfra.customers (customer_id, name)
VALUES (%(customer_id)s, coalesce(%(name)s, %(customer_id)s))
ON CONFLICT (customer_id) DO UPDATE SET name = coalesce(%(name)s, customers.name)
RETURNING customer_id, name, created_at
