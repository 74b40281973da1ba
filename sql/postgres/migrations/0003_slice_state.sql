-- Grain: one slice (account, billing period) that a probe or a collection has seen.
-- seen_token: what the last probe saw. collected_token: what the last successful collection answered to. Unequal: due.
-- failed_token: what the last failed collection tried; while it is still what is seen, the schedule waits until retry_at.
CREATE TABLE optiinfra.slice_state (
    account_id text NOT NULL REFERENCES optiinfra.accounts,
    billing_period text NOT NULL CHECK (billing_period ~ '^\d{4}-\d{2}$'),
    seen_token text,
    seen_at timestamptz,
    collected_token text,
    checked_at timestamptz,
    generation bigint,
    published_at timestamptz,
    failed_token text,
    retry_at timestamptz,
    PRIMARY KEY (account_id, billing_period)
)
