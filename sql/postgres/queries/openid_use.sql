-- Notes that a sign-in by OpenID Connect is completed, and forgets those of which no token can be accepted any more. Returns no row if it
-- was completed before.
WITH forgotten AS (
    DELETE FROM optiinfra.openid_sign_ins WHERE at < now() - interval '1 day'
)

INSERT INTO optiinfra.openid_sign_ins (nonce_hash) VALUES (%(nonce_hash)s)
ON CONFLICT DO NOTHING
RETURNING nonce_hash
