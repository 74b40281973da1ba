-- Adds a customer; an existing one keeps its name unless another is given. Writes each change to the audit log.
WITH old AS (
    SELECT name FROM optiinfra.customers WHERE customer_id = %(customer_id)s
),

stored AS (
    INSERT INTO optiinfra.customers (customer_id, name)
    VALUES (%(customer_id)s, coalesce(%(name)s, %(customer_id)s))
    ON CONFLICT (customer_id) DO UPDATE SET name = coalesce(%(name)s, customers.name)
    RETURNING customer_id, name, created_at
),

noted AS (
    INSERT INTO optiinfra.access_audit_log (actor, origin, action, customer_id, name, detail)
    SELECT
        %(actor)s,
        %(origin)s,
        CASE WHEN old.name IS NULL THEN 'create_customer' ELSE 'rename_customer' END,
        stored.customer_id,
        stored.name,
        old.name
    FROM stored LEFT JOIN old ON true
    WHERE old.name IS DISTINCT FROM stored.name
)

SELECT customer_id, name, created_at FROM stored
