-- Writes that occasions are told by a delivery.
INSERT INTO optiinfra.alert_outbox (occasion_id, channel_id, customer_id, delivery_id)
SELECT one, %(channel_id)s, %(customer_id)s, %(delivery_id)s FROM unnest(%(occasions)s::bigint[]) AS one
