-- All tokens, without their hashes.
SELECT token_id, name, customer_id, role, created_at, expires_at, last_used_at, revoked_at
FROM optiinfra.api_tokens
ORDER BY created_at, token_id
