-- The role and customer of a token, by its hash or else by its id, that is neither expired nor revoked. is_stale: its last use was stored over a minute ago, or by a clock that was ahead.
SELECT
    token_id,
    name,
    customer_id,
    role,
    last_used_at IS NULL OR last_used_at NOT BETWEEN now() - interval '1 minute' AND now() + interval '1 minute' AS is_stale
FROM optiinfra.api_tokens
WHERE (token_hash = %(token_hash)s OR token_id = %(token_id)s) AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > now())
