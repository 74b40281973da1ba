-- Makes the delivery of a slot, or takes the one that is there and has not begun; no row: it has begun, so nothing is added to it.
INSERT INTO optiinfra.alert_deliveries AS old (delivery_id, customer_id, rule_id, channel_id, slot, created_at, due_at)
SELECT %(delivery_id)s, %(customer_id)s, %(rule_id)s, channel_id, %(slot)s, %(at)s, %(due_at)s
FROM optiinfra.alert_channels
WHERE channel_id = %(channel_id)s AND customer_id = %(customer_id)s AND deleted_at IS NULL
ON CONFLICT (rule_id, channel_id, slot) DO UPDATE SET due_at = old.due_at
WHERE old.attempts = 0 AND old.state = 'waiting'
RETURNING delivery_id
