-- budgets: what a customer may spend, of charges that any of the filters in `definition` matches; removed ones stay with their history.
-- budget_changes: each change with who made it and the definition from then on, null for a removal; never changed.
-- What the role optiinfra_api sees of both: rows of the customer that the transaction is bound to.
DO $$
DECLARE
    named text;
BEGIN
    CREATE TABLE optiinfra.budgets (
        budget_id text PRIMARY KEY,
        customer_id text NOT NULL REFERENCES optiinfra.customers,
        name text NOT NULL,
        definition jsonb NOT NULL,
        created_at timestamptz NOT NULL,
        changed_at timestamptz NOT NULL,
        removed_at timestamptz
    );
    CREATE UNIQUE INDEX budgets_by_name ON optiinfra.budgets (customer_id, name) WHERE removed_at IS NULL;
    CREATE TABLE optiinfra.budget_changes (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        budget_id text NOT NULL REFERENCES optiinfra.budgets,
        customer_id text NOT NULL REFERENCES optiinfra.customers,
        at timestamptz NOT NULL,
        author text NOT NULL,
        author_name text NOT NULL,
        name text NOT NULL,
        definition jsonb
    );
    CREATE INDEX budget_changes_of_budget ON optiinfra.budget_changes (budget_id, id);
    FOREACH named IN ARRAY ARRAY['budgets', 'budget_changes'] LOOP
        EXECUTE format('ALTER TABLE optiinfra.%I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format(
            'CREATE POLICY of_customer ON optiinfra.%I FOR SELECT TO optiinfra_api '
            'USING (customer_id = current_setting(''optiinfra.customer_id'', true))',
            named
        );
        EXECUTE format('GRANT SELECT ON optiinfra.%I TO optiinfra_api', named);
    END LOOP;
    EXECUTE 'CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON optiinfra.budget_changes '
        'FOR EACH STATEMENT EXECUTE FUNCTION optiinfra.refuse_change()';
END
$$
