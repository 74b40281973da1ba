-- What the role optiinfra_api sees of alerts: rows of the customer that the transaction is bound to, and no secret of a channel.
-- Acts on rules and channels are in the access audit log, where note_view writes them. Indexes: for the sender, for pages, for names.
DO $$
DECLARE
    named text;
    accepted text;
BEGIN
    FOREACH named IN ARRAY ARRAY[
        'alert_channels', 'channel_secrets', 'alert_rules', 'alert_occasions', 'alert_deliveries', 'alert_outbox'
    ] LOOP
        EXECUTE format('ALTER TABLE optiinfra.%I ENABLE ROW LEVEL SECURITY', named);
        EXECUTE format(
            'CREATE POLICY of_customer ON optiinfra.%I FOR SELECT TO optiinfra_api '
            'USING (customer_id = current_setting(''optiinfra.customer_id'', true))',
            named
        );
    END LOOP;
    GRANT SELECT ON
    optiinfra.alert_channels, optiinfra.alert_rules, optiinfra.alert_occasions, optiinfra.alert_deliveries, optiinfra.alert_outbox
    TO optiinfra_api;
    CREATE UNIQUE INDEX alert_channels_by_name ON optiinfra.alert_channels (customer_id, name) WHERE deleted_at IS NULL;
    CREATE UNIQUE INDEX alert_rules_by_name ON optiinfra.alert_rules (customer_id, name) WHERE deleted_at IS NULL;
    CREATE INDEX alert_deliveries_due ON optiinfra.alert_deliveries (due_at) WHERE state = 'waiting';
    CREATE INDEX alert_deliveries_by_customer ON optiinfra.alert_deliveries (customer_id, created_at DESC, delivery_id DESC);
    CREATE INDEX alert_outbox_by_delivery ON optiinfra.alert_outbox (delivery_id);
    SELECT pg_get_constraintdef(oid) INTO accepted FROM pg_constraint WHERE conname = 'access_audit_log_action_check';
    ALTER TABLE optiinfra.access_audit_log DROP CONSTRAINT access_audit_log_action_check;
    EXECUTE 'ALTER TABLE optiinfra.access_audit_log ADD CONSTRAINT access_audit_log_action_check ' || replace(
        accepted,
        'ARRAY[',
        'ARRAY[''save_alert_rule''::text, ''remove_alert_rule''::text, ''mute_alert_rule''::text, ''add_alert_channel''::text, '
        '''remove_alert_channel''::text, ''resend_alert''::text, '
    );
END
$$
