-- Creates a customer and writes it to the audit log. Returns no row if the id is taken.
WITH stored AS (
    INSERT INTO optiinfra.customers (customer_id, name)
    VALUES (%(customer_id)s, %(name)s)
    ON CONFLICT (customer_id) DO NOTHING
    RETURNING customer_id, name, created_at
),

noted AS (
    INSERT INTO optiinfra.access_audit_log (actor, origin, action, customer_id, name)
    SELECT %(actor)s, %(origin)s, 'create_customer', customer_id, name FROM stored
)

SELECT customer_id, name, created_at FROM stored
