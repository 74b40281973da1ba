-- Revokes a token, ends its sessions and writes it to the audit log; if it is revoked twice, the first time stays. Returns no row if there
-- is no token with that id and, unless null, of that customer. A person who signs in again makes his token valid again: the sessions that
-- it had must not come back with it.
WITH revoked AS (
    UPDATE optiinfra.api_tokens
    SET revoked_at = now()
    WHERE token_id = %(token_id)s
        AND revoked_at IS NULL
        AND (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
    RETURNING token_id, customer_id, role, name
),

ended AS (
    DELETE FROM optiinfra.web_sessions USING revoked WHERE web_sessions.token_id = revoked.token_id AND kind = 'session'
),

noted AS (
    INSERT INTO optiinfra.access_audit_log (actor, origin, action, customer_id, token_id, role, name)
    SELECT %(actor)s, %(origin)s, 'revoke_token', customer_id, token_id, role, name FROM revoked
)

SELECT
    token_id,
    name,
    customer_id,
    role,
    created_at,
    expires_at,
    last_used_at,
    coalesce(revoked_at, now()) AS revoked_at
FROM optiinfra.api_tokens
WHERE token_id = %(token_id)s AND (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
