-- Channels of a customer, or one of them, by name; removed ones only by id.
SELECT channel_id, customer_id, kind, name, settings, by_operator, created_at, deleted_at
FROM optiinfra.alert_channels
WHERE customer_id = %(customer_id)s AND (channel_id = %(channel_id)s OR (%(channel_id)s::text IS NULL AND deleted_at IS NULL))
ORDER BY lower(name), name
