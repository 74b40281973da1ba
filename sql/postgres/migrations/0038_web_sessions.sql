-- Grain: one browser that is signed in, or one link that signs a browser in once. Only the SHA-256 of its secret is stored: a secret is
-- 32 random bytes, so a fast hash is enough. Both act for a token, and are over when it is. expires_at moves on while a session is used,
-- up to ends_at.
CREATE TABLE optiinfra.web_sessions (
    secret_hash bytea PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('link', 'session')),
    token_id text NOT NULL REFERENCES optiinfra.api_tokens,
    is_read_only boolean NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    expires_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL
)
