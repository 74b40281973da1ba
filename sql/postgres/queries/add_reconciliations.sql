-- Adds the comparisons of some accounts and periods. Those of one account and period get one number, higher than all before.
WITH slices AS MATERIALIZED (
    SELECT slice, nextval('optiinfra.comparisons') AS comparison
    FROM (SELECT DISTINCT slice FROM jsonb_to_recordset(%(rows)s::jsonb) AS one (slice text)) AS found
)
INSERT INTO optiinfra.reconciliations
SELECT
    comparison, %(customer_id)s,
    -- include: reconciliation_columns
FROM jsonb_to_recordset(%(rows)s::jsonb) AS one (
    slice text, provider text, account_id text, billing_period text, issuer text, currency text, compared_at timestamptz,
    since timestamptz, generation bigint, statements bigint, ours numeric, stated numeric, not_in_costs numeric,
    difference numeric, tolerance numeric, line_items bigint, unassigned bigint, unassigned_cost numeric,
    invoice_ids text[], status text, reason text, moved numeric, gaps text, agreed_ours numeric, agreed_with numeric, agreed_generation bigint
)
INNER JOIN slices USING (slice)
