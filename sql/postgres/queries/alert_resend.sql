-- Lets a delivery that was given up be tried again for a day, with the same id; writes that to the audit log.
UPDATE optiinfra.alert_deliveries AS d
SET state = 'waiting', due_at = %(at)s, first_tried_at = NULL
FROM optiinfra.alert_rules AS r, optiinfra.alert_channels AS c
WHERE d.delivery_id = %(delivery_id)s AND d.customer_id = %(customer_id)s AND d.state = 'dead'
    AND r.rule_id = d.rule_id AND c.channel_id = d.channel_id AND c.deleted_at IS NULL
RETURNING optiinfra.note_view(%(actor)s, %(origin)s, 'resend_alert', d.customer_id, r.name, d.delivery_id) AS name
