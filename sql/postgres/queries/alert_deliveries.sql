-- Deliveries of a customer, newest first, after a given one; a null filter selects all.
SELECT
    d.delivery_id, d.customer_id, d.rule_id, r.name AS rule_name, d.channel_id, c.name AS channel_name, d.state,
    ARRAY(
        SELECT o.message ->> 'title'
        FROM optiinfra.alert_outbox AS x JOIN optiinfra.alert_occasions AS o USING (occasion_id)
        WHERE x.delivery_id = d.delivery_id
        ORDER BY o.occasion_id
    ) AS titles,
    d.created_at, d.due_at, d.first_tried_at, d.attempts, d.sent_at, d.error
FROM optiinfra.alert_deliveries AS d
JOIN optiinfra.alert_rules AS r USING (rule_id)
JOIN optiinfra.alert_channels AS c USING (channel_id)
WHERE d.customer_id = %(customer_id)s
    AND (%(state)s::text IS NULL OR d.state = %(state)s)
    AND (%(delivery_id)s::text IS NULL OR d.delivery_id = %(delivery_id)s)
    AND (%(before_at)s::timestamptz IS NULL OR (d.created_at, d.delivery_id) < (%(before_at)s, %(before_id)s))
ORDER BY d.created_at DESC, d.delivery_id DESC LIMIT %(first)s
