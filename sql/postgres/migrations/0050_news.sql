-- Tells whoever listens, by customer id: on optiinfra_publications, that an attempt to build a generation began or ended; on
-- optiinfra_freshness, that a probe, a collection or a change of an account moved how far its data reach. An attempt is told when its number
-- is drawn, which is before its generation can become visible in ClickHouse; so a reader who has heard of no attempt misses no publication.
-- What the role optiinfra_api sees of attempts: those of the customer that the transaction is bound to.
DO $$
DECLARE
    named text;
    event text;
BEGIN
    CREATE FUNCTION optiinfra.tell_news() RETURNS trigger LANGUAGE plpgsql AS $function$
    BEGIN
        PERFORM pg_notify(TG_ARGV[0], customer_id)
        FROM (SELECT DISTINCT accounts.customer_id FROM changed INNER JOIN optiinfra.accounts USING (account_id)) AS one;
        RETURN NULL;
    END
    $function$;
    FOREACH named IN ARRAY ARRAY['generations', 'slice_state', 'accounts'] LOOP
        FOREACH event IN ARRAY ARRAY['insert', 'update'] LOOP
            EXECUTE format(
                'CREATE TRIGGER tell_news_of_%s AFTER %s ON optiinfra.%I REFERENCING NEW TABLE AS changed '
                'FOR EACH STATEMENT EXECUTE FUNCTION optiinfra.tell_news(%L)',
                event, event, named,
                CASE named WHEN 'generations' THEN 'optiinfra_publications' ELSE 'optiinfra_freshness' END
            );
        END LOOP;
    END LOOP;
    ALTER TABLE optiinfra.generations ENABLE ROW LEVEL SECURITY;
    CREATE POLICY of_customer ON optiinfra.generations FOR SELECT TO optiinfra_api
    USING (account_id IN (SELECT account_id FROM optiinfra.accounts));
    GRANT SELECT ON optiinfra.generations TO optiinfra_api;
END
$$
