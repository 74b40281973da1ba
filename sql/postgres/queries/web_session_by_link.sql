-- Uses up a link and stores the session that it opens. Returns no row if there is no such link, or its time or its token is over, or a clock
-- that was ahead set its time.
WITH used AS (
    DELETE FROM optiinfra.web_sessions
    WHERE secret_hash = %(link_hash)s AND kind = 'link' AND expires_at > now()
        AND created_at <= now() + interval '1 minute'
    RETURNING token_id, is_read_only
)

INSERT INTO optiinfra.web_sessions (secret_hash, kind, token_id, is_read_only, expires_at, ends_at)
SELECT %(secret_hash)s, 'session', token_id, used.is_read_only, now() + %(lasts)s, now() + %(at_most)s
FROM used
INNER JOIN optiinfra.api_tokens USING (token_id)
WHERE revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
RETURNING token_id
