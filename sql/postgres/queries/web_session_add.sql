-- Stores a session or a link for a token, and removes those that have expired; a session is a sign-in, and written to the audit log.
-- Returns no row if the token is not accepted now.
WITH removed AS (
    DELETE FROM optiinfra.web_sessions WHERE expires_at <= now()
)

INSERT INTO optiinfra.web_sessions (secret_hash, kind, token_id, is_read_only, expires_at, ends_at)
SELECT %(secret_hash)s, %(kind)s, token_id, %(is_read_only)s, now() + %(lasts)s, now() + %(at_most)s
FROM optiinfra.api_tokens
WHERE token_id = %(token_id)s AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
RETURNING CASE kind WHEN 'session' THEN optiinfra.note_sign_in(token_id, %(origin)s, 'sign_in', 'by ' || %(how)s) END
