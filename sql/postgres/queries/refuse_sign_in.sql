-- Writes a refused sign-in to the audit log.
INSERT INTO optiinfra.access_audit_log (actor, origin, action, customer_id, token_id, role, name, detail)
VALUES (%(actor)s, %(origin)s, 'refuse_sign_in', %(customer_id)s, %(token_id)s, %(role)s, %(name)s, %(detail)s)
