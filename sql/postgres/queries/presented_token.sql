-- The token that a refused sign-in named, by its own secret or by that of a link for it; also one that was revoked or has expired.
SELECT token_id, name, customer_id, role FROM optiinfra.api_tokens
WHERE (%(how)s = 'token' AND token_hash = %(secret_hash)s)
    OR (
        %(how)s = 'link'
        AND token_id = (
            SELECT token_id FROM optiinfra.web_sessions WHERE secret_hash = %(secret_hash)s AND kind = 'link'
        )
    )
