-- Records the end of an attempt: that it was received; or, unless a later attempt has begun or it was received, why not and what is next.
UPDATE optiinfra.alert_deliveries
SET state = %(state)s, sent_at = %(sent_at)s, error = %(error)s, due_at = coalesce(%(due_at)s, due_at)
WHERE delivery_id = %(delivery_id)s AND state <> 'sent' AND (%(state)s = 'sent' OR (attempts = %(attempt)s AND state = 'waiting'))
