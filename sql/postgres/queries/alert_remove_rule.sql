-- Takes a rule out of use and gives up what waits of it; writes that to the audit log.
WITH removed AS (
    UPDATE optiinfra.alert_rules SET deleted_at = now()
    WHERE rule_id = %(rule_id)s AND customer_id = %(customer_id)s AND deleted_at IS NULL
    RETURNING *
), given_up AS (
    UPDATE optiinfra.alert_deliveries SET state = 'dead', error = 'the rule was removed'
    WHERE rule_id = %(rule_id)s AND customer_id = %(customer_id)s AND state = 'waiting'
)
SELECT
    -- include: alert_rule_columns
FROM removed
WHERE optiinfra.note_view(%(actor)s, %(origin)s, 'remove_alert_rule', customer_id, name, NULL) IS NOT NULL
