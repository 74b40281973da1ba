-- Takes a channel out of use, erases its secrets, gives up what waits for it, takes it from its rules; writes that to the audit log.
WITH erased AS (
    DELETE FROM optiinfra.channel_secrets WHERE channel_id = %(channel_id)s AND customer_id = %(customer_id)s
), given_up AS (
    UPDATE optiinfra.alert_deliveries SET state = 'dead', error = 'the channel was removed'
    WHERE channel_id = %(channel_id)s AND customer_id = %(customer_id)s AND state = 'waiting'
), taken AS (
    UPDATE optiinfra.alert_rules SET channels = array_remove(channels, %(channel_id)s)
    WHERE customer_id = %(customer_id)s AND %(channel_id)s = ANY (channels)
)
UPDATE optiinfra.alert_channels SET deleted_at = now()
WHERE channel_id = %(channel_id)s AND customer_id = %(customer_id)s AND deleted_at IS NULL
RETURNING
    channel_id, customer_id, kind,
    optiinfra.note_view(%(actor)s, %(origin)s, 'remove_alert_channel', customer_id, name, kind) AS name,
    settings, by_operator, created_at, deleted_at
