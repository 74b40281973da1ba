-- Deletes some messages of before an instant that were received or given up, with what they told.
WITH old AS MATERIALIZED (
    SELECT delivery_id FROM optiinfra.alert_deliveries WHERE created_at < %(before)s AND state <> 'waiting' LIMIT %(most)s
), told AS (
    DELETE FROM optiinfra.alert_outbox WHERE delivery_id IN (SELECT delivery_id FROM old)
)
DELETE FROM optiinfra.alert_deliveries WHERE delivery_id IN (SELECT delivery_id FROM old) RETURNING delivery_id
