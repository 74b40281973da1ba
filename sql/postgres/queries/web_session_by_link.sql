-- Uses up a link, stores the session that it opens, and writes that to the audit log. Returns no row if there is no such link, or its time
-- or its token is over, or a clock that was ahead set its time.
WITH used AS (
    DELETE FROM optiinfra.web_sessions AS links
    USING optiinfra.api_tokens AS tokens
    WHERE secret_hash = %(link_hash)s AND kind = 'link' AND links.expires_at > now()
        AND links.created_at <= now() + interval '1 minute'
        AND tokens.token_id = links.token_id
        AND revoked_at IS NULL AND (tokens.expires_at IS NULL OR tokens.expires_at > now())
    RETURNING links.token_id, is_read_only
)

INSERT INTO optiinfra.web_sessions (secret_hash, kind, token_id, is_read_only, expires_at, ends_at)
SELECT %(secret_hash)s, 'session', token_id, used.is_read_only, now() + %(lasts)s, now() + %(at_most)s
FROM used
RETURNING optiinfra.note_sign_in(
    token_id, %(origin)s, 'sign_in', CASE WHEN is_read_only THEN 'by link, read-only' ELSE 'by link' END
)
