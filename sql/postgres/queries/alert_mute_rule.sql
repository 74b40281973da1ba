-- Mutes a rule until an instant, or ends that; writes it to the audit log.
WITH muted AS (
    UPDATE optiinfra.alert_rules SET muted_until = %(until)s
    WHERE rule_id = %(rule_id)s AND customer_id = %(customer_id)s AND deleted_at IS NULL
    RETURNING *
)
SELECT
    -- include: alert_rule_columns
FROM muted
WHERE optiinfra.note_view(
    %(actor)s, %(origin)s, 'mute_alert_rule', customer_id, name, coalesce('until ' || muted_until::text, 'no longer')
) IS NOT NULL
