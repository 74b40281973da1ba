-- What the role optiinfra_api sees of invoices and comparisons: those of the customer that the transaction is bound to. Who records an
-- invoice is in the log. Whoever listens on optiinfra_reconciliations hears of each comparison whose status is another one than before.
DO $$
DECLARE
    named text;
    accepted text;
BEGIN
    CREATE SEQUENCE optiinfra.comparisons;
    FOREACH named IN ARRAY ARRAY['invoice_statements', 'reconciliations'] LOOP
        EXECUTE format('ALTER TABLE optiinfra.%I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format(
            'CREATE POLICY of_customer ON optiinfra.%I FOR SELECT TO optiinfra_api '
            'USING (customer_id = current_setting(''optiinfra.customer_id'', true))',
            named
        );
    END LOOP;
    GRANT SELECT ON optiinfra.invoice_statements, optiinfra.reconciliations TO optiinfra_api;
    SELECT pg_get_constraintdef(oid) INTO accepted FROM pg_constraint WHERE conname = 'access_audit_log_action_check';
    ALTER TABLE optiinfra.access_audit_log DROP CONSTRAINT access_audit_log_action_check;
    EXECUTE 'ALTER TABLE optiinfra.access_audit_log ADD CONSTRAINT access_audit_log_action_check '
        || replace(accepted, 'ARRAY[', 'ARRAY[''record_invoice''::text, ');
    CREATE FUNCTION optiinfra.tell_reconciliation() RETURNS trigger LANGUAGE plpgsql AS $function$
    BEGIN
        IF NEW.since = NEW.compared_at THEN
            PERFORM pg_notify('optiinfra_reconciliations', json_build_object(
                'customerId', NEW.customer_id, 'accountId', NEW.account_id, 'month', NEW.billing_period,
                'currency', NEW.currency, 'status', NEW.status
            )::text);
        END IF;
        RETURN NULL;
    END
    $function$;
    CREATE TRIGGER tell_reconciliation AFTER INSERT ON optiinfra.reconciliations
    FOR EACH ROW EXECUTE FUNCTION optiinfra.tell_reconciliation();
END
$$
