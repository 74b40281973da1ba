-- A new token, by its hash.
INSERT INTO optiinfra.api_tokens (token_id, token_hash, name, customer_id, role, expires_at)
VALUES (%(token_id)s, %(token_hash)s, %(name)s, %(customer_id)s, %(role)s, %(expires_at)s)
