-- The token that the sessions of a person act for, whom an identity provider vouches for. Nobody knows its secret. Each sign-in decides
-- anew what it may do, whether it was revoked or not; it is over when the last session of the sign-in is.
INSERT INTO optiinfra.api_tokens (token_id, token_hash, name, customer_id, role, expires_at)
VALUES (%(token_id)s, %(token_hash)s, %(name)s, %(customer_id)s, %(role)s, now() + %(lasts)s)
ON CONFLICT (token_id) DO UPDATE
SET name = excluded.name, customer_id = excluded.customer_id, role = excluded.role, expires_at = excluded.expires_at, revoked_at = NULL
