-- Renames a customer and writes a changed name to the audit log. Returns no row if there is no such customer.
WITH old AS (
    SELECT customer_id, name FROM optiinfra.customers WHERE customer_id = %(customer_id)s FOR UPDATE
),

stored AS (
    UPDATE optiinfra.customers AS c SET name = %(name)s
    FROM old
    WHERE c.customer_id = old.customer_id
    RETURNING c.customer_id, c.name, c.created_at
),

noted AS (
    INSERT INTO optiinfra.access_audit_log (actor, origin, action, customer_id, name, detail)
    SELECT %(actor)s, %(origin)s, 'rename_customer', stored.customer_id, stored.name, old.name
    FROM stored JOIN old USING (customer_id)
    WHERE old.name <> stored.name
)

SELECT customer_id, name, created_at FROM stored
