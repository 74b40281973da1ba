-- forecasts: the forecast of a customer's costs, made at an instant; of each UTC day the last is kept. body: arrays of all its series, read
-- whole or not at all. generation: the newest publication that it knows.
-- forecast_overrides: what a person expects of a month instead, of the series that `chosen` names; rows are never changed but for their end.
-- What the role optiinfra_api sees of both: rows of the customer that the transaction is bound to.
DO $$
DECLARE
    named text;
BEGIN
    CREATE TABLE optiinfra.forecasts (
        customer_id text NOT NULL REFERENCES optiinfra.customers,
        made_at timestamptz NOT NULL,
        generation bigint NOT NULL,
        data_through timestamptz,
        published_at timestamptz,
        is_simulated boolean NOT NULL,
        is_by_sub_account boolean NOT NULL,
        body bytea NOT NULL,
        PRIMARY KEY (customer_id, made_at)
    );
    ALTER TABLE optiinfra.forecasts ALTER COLUMN body SET STORAGE EXTERNAL;
    CREATE TABLE optiinfra.forecast_overrides (
        override_id text PRIMARY KEY,
        customer_id text NOT NULL REFERENCES optiinfra.customers,
        chosen jsonb NOT NULL,
        month date NOT NULL,
        currency text,
        amount numeric,
        factor numeric,
        note text NOT NULL,
        author text NOT NULL,
        author_name text NOT NULL,
        made_at timestamptz NOT NULL,
        ended_at timestamptz,
        CHECK ((amount IS NULL) <> (factor IS NULL)),
        CHECK ((amount IS NULL) = (currency IS NULL))
    );
    CREATE INDEX forecast_overrides_of_customer ON optiinfra.forecast_overrides (customer_id, month);
    FOREACH named IN ARRAY ARRAY['forecasts', 'forecast_overrides'] LOOP
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
