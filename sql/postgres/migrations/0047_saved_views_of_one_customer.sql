-- What the role optiinfra_api sees of saved views: those of the customer that the transaction is bound to. Acts on them
-- are in the log, where note_view writes them.
DO $$
BEGIN
    ALTER TABLE optiinfra.saved_views ENABLE ROW LEVEL SECURITY;
    CREATE POLICY of_customer ON optiinfra.saved_views FOR SELECT TO optiinfra_api
    USING (customer_id = current_setting('optiinfra.customer_id', true));
    GRANT SELECT ON optiinfra.saved_views TO optiinfra_api;
    ALTER TABLE optiinfra.access_audit_log
    DROP CONSTRAINT access_audit_log_action_check,
    ADD CONSTRAINT access_audit_log_action_check CHECK (
        action IN (
            'create_customer', 'rename_customer', 'create_token', 'revoke_token', 'sign_in', 'refuse_sign_in', 'sign_out',
            'save_view', 'remove_view'
        )
    );
    CREATE FUNCTION optiinfra.note_view(acting text, from_where text, what text, whose text, named text, before text) RETURNS text
    LANGUAGE sql AS $function$
        INSERT INTO optiinfra.access_audit_log (actor, origin, action, customer_id, name, detail)
        VALUES (acting, from_where, what, whose, named, before)
        RETURNING name
    $function$;
END
$$
