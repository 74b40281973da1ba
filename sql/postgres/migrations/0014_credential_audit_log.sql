-- Grain: one act on a credential or a master key: who, what, when, from where. Append-only; outlives what it tells of, so without references.
-- purpose: what a revealed secret was for. detail: why an act was refused; for rewrap, the master key before.
CREATE TABLE optiinfra.credential_audit_log (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    origin text NOT NULL,
    action text NOT NULL
    CHECK (action IN ('create', 'update', 'rotate', 'reveal', 'delete', 'purge', 'rewrap', 'retire_key')),
    outcome text NOT NULL CHECK (outcome IN ('done', 'refused')),
    customer_id text,
    account_id text,
    credential_id text,
    version integer,
    key_id text,
    purpose text,
    run_id text,
    detail text
)
