-- Grain: one version of what is stated of the invoices of one account and billing period: by its source, or by a person. Published like a
-- generation of costs: whole, by this one row, which never changes; the highest statement_id is what readers see, and asOf goes by stated_at.
-- content: all invoices as JSON; amounts are texts, exact. sources: lineage as JSON. author: who recorded it, null for a source.
-- A few rows a month and account, which are read together with accounts and never joined to line items: so they are here.
CREATE TABLE optiinfra.invoice_statements (
    statement_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer_id text NOT NULL,
    account_id text NOT NULL REFERENCES optiinfra.accounts,
    billing_period text NOT NULL CHECK (billing_period ~ '^\d{4}-\d{2}$'),
    origin text NOT NULL CHECK (origin IN ('source', 'person')),
    stated_at timestamptz NOT NULL,
    content text NOT NULL,
    sources text NOT NULL,
    author text
)
