-- anomaly_refreshes: when the days of a customer were judged; generation: the newest publication that was known.
-- expectations: what was expected of all series of a customer on a UTC day, with its band, and what came; body: arrays, read whole or not at
-- all. A day that is judged again has one more row. asOf goes by judged_at and made_at.
-- anomaly_versions: an anomaly as it was found at an instant; anomaly_id stays while its days change. service_name '': the whole account.
-- days: [day, cost, expected]; causes: what explains the excess. is_gone: its days, judged again, are odd no more.
-- anomaly_states: what people said of an anomaly; from_day: the first day that it teaches.
DO $$
DECLARE
    named text;
BEGIN
    CREATE TABLE optiinfra.anomaly_refreshes (
        customer_id text NOT NULL REFERENCES optiinfra.customers,
        made_at timestamptz NOT NULL,
        generation bigint NOT NULL,
        data_through timestamptz,
        published_at timestamptz,
        is_simulated boolean NOT NULL,
        PRIMARY KEY (customer_id, made_at)
    );
    CREATE TABLE optiinfra.expectations (
        customer_id text NOT NULL REFERENCES optiinfra.customers,
        charge_date date NOT NULL,
        judged_at timestamptz NOT NULL,
        body bytea NOT NULL,
        PRIMARY KEY (customer_id, charge_date, judged_at)
    );
    ALTER TABLE optiinfra.expectations ALTER COLUMN body SET STORAGE EXTERNAL;
    CREATE TABLE optiinfra.anomaly_versions (
        customer_id text NOT NULL REFERENCES optiinfra.customers,
        anomaly_id text NOT NULL,
        made_at timestamptz NOT NULL,
        found_at timestamptz NOT NULL,
        provider text NOT NULL,
        account_id text NOT NULL,
        service_name text NOT NULL,
        currency text NOT NULL,
        kind text NOT NULL,
        first_day date NOT NULL,
        last_day date NOT NULL,
        cost numeric NOT NULL,
        expected numeric NOT NULL,
        excess numeric NOT NULL,
        projected numeric NOT NULL,
        score double precision NOT NULL,
        folded_into text,
        is_gone boolean NOT NULL,
        is_simulated boolean NOT NULL,
        days jsonb NOT NULL,
        causes jsonb NOT NULL,
        PRIMARY KEY (customer_id, anomaly_id, made_at)
    );
    CREATE TABLE optiinfra.anomaly_states (
        customer_id text NOT NULL REFERENCES optiinfra.customers,
        anomaly_id text NOT NULL,
        set_at timestamptz NOT NULL,
        state text NOT NULL,
        until_day date,
        up_to numeric,
        note text NOT NULL,
        author text NOT NULL,
        author_name text NOT NULL,
        from_day date NOT NULL,
        PRIMARY KEY (customer_id, anomaly_id, set_at)
    );
    FOREACH named IN ARRAY ARRAY['anomaly_refreshes', 'expectations', 'anomaly_versions', 'anomaly_states'] LOOP
        EXECUTE format('ALTER TABLE optiinfra.%I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format(
            'CREATE POLICY of_customer ON optiinfra.%I FOR SELECT TO optiinfra_api '
            'USING (customer_id = current_setting(''optiinfra.customer_id'', true))',
            named
        );
        EXECUTE format('GRANT SELECT ON optiinfra.%I TO optiinfra_api', named);
    END LOOP;
END
$$
