-- Grain: one bearer token. Only its SHA-256 is stored: a token is 32 random bytes, so a fast hash is enough.
-- customer_id null: an administrator's token, for all customers.
CREATE TABLE optiinfra.api_tokens (
    token_id text PRIMARY KEY,
    token_hash bytea NOT NULL UNIQUE,
    name text NOT NULL,
    customer_id text REFERENCES optiinfra.customers,
    role text NOT NULL CHECK (role IN ('viewer', 'operator', 'admin')),
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz,
    last_used_at timestamptz,
    revoked_at timestamptz
)
