-- Grain: one commitment of a contract, as the source of an account states it now. content: as domain.commitments writes it.
-- stated_at: since when it is stated so. A commitment that the source states no more is removed.
DO $$
BEGIN
    CREATE TABLE optiinfra.commitments (
        account_id text NOT NULL REFERENCES optiinfra.accounts,
        commitment_id text NOT NULL,
        customer_id text NOT NULL REFERENCES optiinfra.customers,
        content jsonb NOT NULL,
        stated_at timestamptz NOT NULL,
        PRIMARY KEY (account_id, commitment_id)
    );
    ALTER TABLE optiinfra.commitments ENABLE ROW LEVEL SECURITY;
    CREATE POLICY of_customer ON optiinfra.commitments FOR SELECT TO optiinfra_api
    USING (customer_id = current_setting('optiinfra.customer_id', true));
    GRANT SELECT ON optiinfra.commitments TO optiinfra_api;
END
$$
