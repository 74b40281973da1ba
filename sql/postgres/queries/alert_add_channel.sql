-- Stores a new channel and writes that to the audit log.
INSERT INTO optiinfra.alert_channels (channel_id, customer_id, kind, name, settings, by_operator)
VALUES (%(channel_id)s, %(customer_id)s, %(kind)s, %(name)s, %(settings)s, %(by_operator)s)
RETURNING
    channel_id, customer_id, kind,
    optiinfra.note_view(%(actor)s, %(origin)s, 'add_alert_channel', customer_id, name, kind) AS name,
    settings, by_operator, created_at, deleted_at
