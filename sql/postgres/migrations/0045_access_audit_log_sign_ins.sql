-- Acts on the log from now on also: who signed in at a web interface, who was refused, and who signed out. For a refused try whose token is
-- not known, token_id is null and name is empty; nothing of what was typed is kept. note_sign_in writes an act of a token, and returns its id.
DO $$
BEGIN
    ALTER TABLE optiinfra.access_audit_log
    DROP CONSTRAINT access_audit_log_action_check,
    ADD CONSTRAINT access_audit_log_action_check CHECK (
        action IN (
            'create_customer', 'rename_customer', 'create_token', 'revoke_token', 'sign_in', 'refuse_sign_in', 'sign_out'
        )
    );
    CREATE FUNCTION optiinfra.note_sign_in(acting text, from_where text, what text, how text) RETURNS text
    LANGUAGE sql AS $function$
        INSERT INTO optiinfra.access_audit_log (actor, origin, action, customer_id, token_id, role, name, detail)
        SELECT token_id, from_where, what, customer_id, token_id, role, name, how
        FROM optiinfra.api_tokens
        WHERE token_id = acting
        RETURNING token_id
    $function$;
END
$$
