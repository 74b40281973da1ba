-- Stores the hash of a new token and writes it to the audit log.
WITH made AS (
    INSERT INTO optiinfra.api_tokens (token_id, token_hash, name, customer_id, role, expires_at)
    VALUES (%(token_id)s, %(token_hash)s, %(name)s, %(customer_id)s, %(role)s, %(expires_at)s)
    RETURNING token_id, name, customer_id, role, created_at, expires_at, last_used_at, revoked_at
),

noted AS (
    INSERT INTO optiinfra.access_audit_log (actor, origin, action, customer_id, token_id, role, name)
    SELECT %(actor)s, %(origin)s, 'create_token', customer_id, token_id, role, name FROM made
)

SELECT token_id, name, customer_id, role, created_at, expires_at, last_used_at, revoked_at FROM made
