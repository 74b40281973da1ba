-- Stores a rule, new or in the place of one with the same id, and writes that to the audit log with the name it had.
WITH replaced AS (
    SELECT name FROM optiinfra.alert_rules WHERE rule_id = %(rule_id)s AND customer_id = %(customer_id)s
), stored_rule AS (
    INSERT INTO optiinfra.alert_rules AS old (
        rule_id, customer_id, kind, name, options, accounts, services, budgets, channels, timing, created_at
    )
    VALUES (
        %(rule_id)s, %(customer_id)s, %(kind)s, %(name)s, %(options)s, %(accounts)s, %(services)s, %(budgets)s, %(channels)s,
        %(timing)s, %(at)s
    )
    ON CONFLICT (rule_id) DO UPDATE
    SET name = excluded.name,
        options = excluded.options,
        accounts = excluded.accounts,
        services = excluded.services,
        budgets = excluded.budgets,
        channels = excluded.channels,
        timing = excluded.timing
    WHERE old.customer_id = excluded.customer_id
    RETURNING *
)
SELECT
    -- include: alert_rule_columns
FROM stored_rule
WHERE optiinfra.note_view(
    %(actor)s, %(origin)s, 'save_alert_rule', customer_id, name, (SELECT replaced.name FROM replaced)
) IS NOT NULL
