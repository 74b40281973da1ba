-- Tokens without their hashes, oldest first, after a given one; a null filter or limit selects all.
SELECT token_id, name, customer_id, role, created_at, expires_at, last_used_at, revoked_at
FROM optiinfra.api_tokens
WHERE (%(customer_id)s::text IS NULL OR customer_id = %(customer_id)s)
    AND (%(after_created_at)s::timestamptz IS NULL OR (created_at, token_id) > (%(after_created_at)s, %(after_token_id)s))
ORDER BY created_at, token_id
LIMIT %(first)s
