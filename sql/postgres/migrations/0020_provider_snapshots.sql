-- Grain: one answer of a provider, as read; only those that differ from the one before of their account, kind and period.
-- What a day cost is computed from their differences where the provider tells a running total of the month only.
CREATE TABLE optiinfra.provider_snapshots (
    account_id text NOT NULL REFERENCES optiinfra.accounts,
    kind text NOT NULL,
    billing_period text NOT NULL CHECK (billing_period ~ '^\d{4}-\d{2}$'),
    taken_at timestamptz NOT NULL,
    body bytea NOT NULL,
    sha256 bytea NOT NULL GENERATED ALWAYS AS (sha256(body)) STORED,
    PRIMARY KEY (account_id, kind, billing_period, taken_at)
)
