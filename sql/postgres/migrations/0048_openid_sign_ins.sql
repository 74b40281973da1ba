-- Grain: one sign-in by OpenID Connect that was completed lately, by the SHA-256 of its nonce, so that none is completed twice. No token of
-- the identity provider is stored.
CREATE TABLE optiinfra.openid_sign_ins (
    nonce_hash bytea PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT now()
)
