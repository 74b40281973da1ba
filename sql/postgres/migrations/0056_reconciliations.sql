-- Grain: one comparison of costs and invoices: account, billing period, issuer and currency. All rows of one comparison number belong
-- together and replace those of the number before; asOf goes by compared_at. generation: of the costs, 0 if none is published.
-- statements: highest statement_id of what they were compared with, 0 for none. since: from when on the status is this one without a break.
-- gaps: where the difference is, as JSON. agreed_*: costs, what they were compared with, and generation when it was reconciled last, null if
-- never. Sums have all their digits.
CREATE TABLE optiinfra.reconciliations (
    comparison bigint NOT NULL,
    customer_id text NOT NULL,
    provider text NOT NULL,
    account_id text NOT NULL REFERENCES optiinfra.accounts,
    billing_period text NOT NULL CHECK (billing_period ~ '^\d{4}-\d{2}$'),
    issuer text NOT NULL,
    currency text NOT NULL,
    compared_at timestamptz NOT NULL,
    since timestamptz NOT NULL,
    generation bigint NOT NULL,
    statements bigint NOT NULL,
    ours numeric NOT NULL,
    stated numeric,
    not_in_costs numeric NOT NULL,
    difference numeric,
    tolerance numeric NOT NULL,
    line_items bigint NOT NULL,
    unassigned bigint NOT NULL,
    unassigned_cost numeric NOT NULL,
    invoice_ids text[] NOT NULL,
    status text NOT NULL,
    reason text NOT NULL,
    moved numeric,
    gaps text NOT NULL,
    agreed_ours numeric,
    agreed_with numeric,
    agreed_generation bigint,
    PRIMARY KEY (customer_id, account_id, billing_period, comparison, issuer, currency)
)
