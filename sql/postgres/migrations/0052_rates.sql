-- Rates between currencies, and what a customer decides of them; small, changed by hand and in transactions, so they lie here. rates: units of a
-- currency for one euro on a date, as a source quotes them, the same for all customers. rate_overrides: a customer's own rate for a month.
-- rate_settings: which rate converts a charge; no row: that of its day. frozen_rates: rates that have converted charges of a month that had
-- ended, by day of the charge; they stay. What the role optiinfra_api sees of the last three: rows of the customer that it is bound to.
-- optiinfra_rates tells whoever listens of changes: with '' of the rates, with a customer's id of what is its own.
DO $$
DECLARE
    named text;
    event text;
    accepted text;
BEGIN
    CREATE TABLE optiinfra.rates (
        source text NOT NULL,
        day date NOT NULL,
        currency text NOT NULL,
        per_euro numeric NOT NULL CHECK (per_euro > 0),
        stored_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (currency, day, source)
    );
    CREATE TABLE optiinfra.rate_overrides (
        customer_id text NOT NULL REFERENCES optiinfra.customers,
        month date NOT NULL CHECK (extract(day FROM month) = 1),
        currency text NOT NULL,
        into_currency text NOT NULL CHECK (into_currency <> currency),
        rate numeric NOT NULL CHECK (rate > 0),
        set_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (customer_id, month, currency, into_currency)
    );
    CREATE TABLE optiinfra.rate_settings (
        customer_id text PRIMARY KEY REFERENCES optiinfra.customers,
        method text NOT NULL CHECK (method IN ('day', 'month'))
    );
    CREATE TABLE optiinfra.frozen_rates (
        customer_id text NOT NULL REFERENCES optiinfra.customers,
        method text NOT NULL,
        currency text NOT NULL,
        into_currency text NOT NULL,
        day date NOT NULL,
        rate numeric NOT NULL,
        quoted date NOT NULL,
        source text NOT NULL,
        frozen_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (customer_id, method, currency, into_currency, day)
    );
    FOREACH named IN ARRAY ARRAY['rate_overrides', 'rate_settings', 'frozen_rates'] LOOP
        EXECUTE format('ALTER TABLE optiinfra.%I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format(
            'CREATE POLICY of_customer ON optiinfra.%I FOR SELECT TO optiinfra_api '
            'USING (customer_id = current_setting(''optiinfra.customer_id'', true))',
            named
        );
    END LOOP;
    GRANT SELECT ON optiinfra.rate_overrides, optiinfra.rate_settings, optiinfra.frozen_rates TO optiinfra_api;
    CREATE FUNCTION optiinfra.tell_rates() RETURNS trigger LANGUAGE plpgsql AS $function$
    BEGIN
        PERFORM pg_notify('optiinfra_rates', whose)
        FROM (SELECT DISTINCT coalesce(to_jsonb(changed) ->> 'customer_id', '') AS whose FROM changed) AS one;
        RETURN NULL;
    END
    $function$;
    FOREACH named IN ARRAY ARRAY['rate_overrides', 'rate_settings'] LOOP
        FOREACH event IN ARRAY ARRAY['insert', 'update', 'delete'] LOOP
            EXECUTE format(
                'CREATE TRIGGER tell_rates_of_%s AFTER %s ON optiinfra.%I REFERENCING %s TABLE AS changed '
                'FOR EACH STATEMENT EXECUTE FUNCTION optiinfra.tell_rates()',
                event, event, named, CASE event WHEN 'delete' THEN 'OLD' ELSE 'NEW' END
            );
        END LOOP;
    END LOOP;
    CREATE TRIGGER tell_rates_of_insert AFTER INSERT ON optiinfra.rates REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION optiinfra.tell_rates();
    CREATE TRIGGER tell_rates_of_update AFTER UPDATE ON optiinfra.rates REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION optiinfra.tell_rates();
    SELECT pg_get_constraintdef(oid) INTO accepted FROM pg_constraint WHERE conname = 'access_audit_log_action_check';
    ALTER TABLE optiinfra.access_audit_log DROP CONSTRAINT access_audit_log_action_check;
    EXECUTE 'ALTER TABLE optiinfra.access_audit_log ADD CONSTRAINT access_audit_log_action_check '
        || replace(accepted, 'ARRAY[', 'ARRAY[''set_rate''::text, ''remove_rate''::text, ''set_rate_method''::text, ');
    CREATE FUNCTION optiinfra.note_rate(acting text, from_where text, what text, whose text, named text, before text) RETURNS void
    LANGUAGE sql AS $function$
        INSERT INTO optiinfra.access_audit_log (actor, origin, action, customer_id, name, detail)
        VALUES (acting, from_where, what, whose, named, before)
    $function$;
END
$$
