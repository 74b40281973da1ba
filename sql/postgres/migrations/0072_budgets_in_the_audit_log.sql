-- Acts on budgets and on what people expect of months are in the access audit log too, where note_view writes them.
DO $$
DECLARE
    accepted text;
BEGIN
    SELECT pg_get_constraintdef(oid) INTO accepted FROM pg_constraint WHERE conname = 'access_audit_log_action_check';
    ALTER TABLE optiinfra.access_audit_log DROP CONSTRAINT access_audit_log_action_check;
    EXECUTE 'ALTER TABLE optiinfra.access_audit_log ADD CONSTRAINT access_audit_log_action_check ' || replace(
        accepted,
        'ARRAY[',
        'ARRAY[''save_budget''::text, ''remove_budget''::text, ''set_forecast_override''::text, ''remove_forecast_override''::text, '
    );
END
$$
