-- Grain: one billed account of a customer at a provider. account_id is also the Dagster partition key.
-- settings hold no secret: those fields live apart, encrypted.
-- probe_tried_at: the last probe begun, answered or not; the next tick begins with the account that waited longest.
-- probe_not_before: a provider that throttles said so.
CREATE TABLE optiinfra.accounts (
    account_id text PRIMARY KEY,
    customer_id text NOT NULL REFERENCES optiinfra.customers,
    provider text NOT NULL,
    settings jsonb NOT NULL DEFAULT '{}',
    status text NOT NULL DEFAULT 'active' CHECK (status IN ('active', 'disabled')),
    is_simulated boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    last_probe_at timestamptz,
    last_change_at timestamptz,
    last_error text,
    probe_tried_at timestamptz,
    probe_not_before timestamptz
)
