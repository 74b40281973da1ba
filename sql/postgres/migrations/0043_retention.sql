-- What retention needs: an index of ended collections; totals of the collections it removed, so that counters never fall; and a way to remove
-- audit records past their legal term, and no others: only in a transaction that names the term, and never a record of the last year.
DO $$
DECLARE
    named text;
BEGIN
    CREATE INDEX collection_history_ended ON optiinfra.collection_history (ended_at);
    CREATE TABLE optiinfra.collection_totals (
        provider text NOT NULL,
        status text NOT NULL,
        collections bigint NOT NULL,
        requests numeric NOT NULL,
        request_cost numeric NOT NULL,
        PRIMARY KEY (provider, status)
    );
    CREATE OR REPLACE FUNCTION optiinfra.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $function$
    BEGIN
        IF TG_OP = 'DELETE' AND coalesce(current_setting('optiinfra.audit_term', true), '') <> '' THEN
            RETURN NULL;
        END IF;
        RAISE EXCEPTION '% on %.%: refused: this table is append-only', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
            USING ERRCODE = 'restrict_violation';
    END
    $function$;
    CREATE FUNCTION optiinfra.refuse_young() RETURNS trigger LANGUAGE plpgsql AS $function$
    BEGIN
        IF EXISTS (SELECT FROM removed WHERE at > now() - interval '365 days') THEN
            RAISE EXCEPTION 'DELETE on %.%: refused: records of the last year stay', TG_TABLE_SCHEMA, TG_TABLE_NAME
                USING ERRCODE = 'restrict_violation';
        END IF;
        RETURN NULL;
    END
    $function$;
    FOREACH named IN ARRAY ARRAY['credential_audit_log', 'access_audit_log'] LOOP
        EXECUTE format(
            'CREATE TRIGGER keep_young AFTER DELETE ON optiinfra.%I REFERENCING OLD TABLE AS removed '
            'FOR EACH STATEMENT EXECUTE FUNCTION optiinfra.refuse_young()',
            named
        );
        EXECUTE format('ALTER TABLE optiinfra.%I ENABLE ALWAYS TRIGGER keep_young', named);
    END LOOP;
END
$$
