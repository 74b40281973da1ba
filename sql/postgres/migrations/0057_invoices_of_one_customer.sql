-- What the role optiinfra_api sees of invoices and comparisons: those of the customer that the transaction is bound to. Who records an
-- invoice is in the log. Whoever listens on optiinfra_reconciliations hears of each comparison whose status is another one than before.
DO $$
DECLARE
    named text;
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
    ALTER TABLE optiinfra.invoice_checks ENABLE ROW LEVEL SECURITY;
    CREATE POLICY of_customer ON optiinfra.invoice_checks FOR SELECT TO optiinfra_api
    USING (account_id IN (SELECT account_id FROM optiinfra.accounts));
    GRANT SELECT ON optiinfra.invoice_statements, optiinfra.invoice_checks, optiinfra.reconciliations TO optiinfra_api;
    ALTER TABLE optiinfra.access_audit_log
    DROP CONSTRAINT access_audit_log_action_check,
    ADD CONSTRAINT access_audit_log_action_check CHECK (
        action IN (
            'create_customer', 'rename_customer', 'create_token', 'revoke_token', 'sign_in', 'refuse_sign_in', 'sign_out',
            'save_view', 'remove_view', 'set_rate', 'remove_rate', 'set_rate_method', 'record_invoice'
        )
    );
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
