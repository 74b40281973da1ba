-- Grain: one rule of a customer: what is watched for, where, and who is told when.
-- options: numbers of its kind. accounts: only these, all if empty. timing: digest, quiet hours, time zone.
-- checked_at: up to when it was looked for occasions. standing: where a condition held then, so that it is told once while it lasts.
-- deleted_at: it watches for nothing any more; the row stays for the deliveries that name it.
CREATE TABLE optiinfra.alert_rules (
    rule_id text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES optiinfra.customers,
    kind text NOT NULL,
    name text NOT NULL,
    options jsonb NOT NULL,
    accounts text[] NOT NULL,
    channels text[] NOT NULL,
    timing jsonb NOT NULL,
    muted_until timestamptz,
    created_at timestamptz NOT NULL,
    checked_at timestamptz,
    standing text[] NOT NULL DEFAULT '{}',
    deleted_at timestamptz
)
