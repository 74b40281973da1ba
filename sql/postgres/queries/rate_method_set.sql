-- Sets which rate converts the charges of a customer, and writes a change to the audit log.
INSERT INTO optiinfra.rate_settings AS stored (customer_id, method)
VALUES (%(customer_id)s, %(method)s)
ON CONFLICT (customer_id) DO UPDATE SET method = excluded.method
RETURNING
    method,
    optiinfra.note_rate(%(actor)s, %(origin)s, 'set_rate_method', customer_id, method, %(before)s) IS NULL AS noted
