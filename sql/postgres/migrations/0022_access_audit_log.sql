-- Grain: one act on a customer or an API token: who, what, when, from where. Append-only; outlives what it tells of, so without references.
-- customer_id null: a token for all customers. name: of the customer or the token. detail: for a rename, the name before.
CREATE TABLE optiinfra.access_audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    origin text NOT NULL,
    action text NOT NULL
    CHECK (action IN ('create_customer', 'rename_customer', 'create_token', 'revoke_token')),
    customer_id text,
    token_id text,
    role text,
    name text NOT NULL,
    detail text
)
