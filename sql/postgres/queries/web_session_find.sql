-- A session that is not over, with its token. is_stale: its end is over a minute away from where it has to be.
SELECT
    token_id,
    name,
    customer_id,
    role,
    is_read_only,
    web_sessions.expires_at NOT BETWEEN
    least(ends_at, now() + %(lasts)s) - interval '1 minute' AND now() + %(lasts)s + interval '1 minute' AS is_stale
FROM optiinfra.web_sessions
INNER JOIN optiinfra.api_tokens USING (token_id)
WHERE secret_hash = %(secret_hash)s
    AND kind = 'session'
    AND web_sessions.expires_at > now()
    AND revoked_at IS NULL
    AND (api_tokens.expires_at IS NULL OR api_tokens.expires_at > now())
