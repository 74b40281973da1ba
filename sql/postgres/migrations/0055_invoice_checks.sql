-- Grain: one account and billing period whose invoices were asked for. checked_at: when the source last answered. error: why it did not since.
CREATE TABLE optiinfra.invoice_checks (
    account_id text NOT NULL REFERENCES optiinfra.accounts,
    billing_period text NOT NULL,
    tried_at timestamptz NOT NULL,
    checked_at timestamptz,
    error text,
    PRIMARY KEY (account_id, billing_period)
)
