-- Grain: channel in use, of those with messages of rules in use that were given up, first tried since an instant. For: optiinfra status.
SELECT c.customer_id, c.channel_id, c.name, count(*) AS messages, min(d.created_at) AS since, max(d.error) AS error
FROM optiinfra.alert_channels AS c JOIN optiinfra.alert_deliveries AS d USING (channel_id) JOIN optiinfra.alert_rules AS r USING (rule_id)
WHERE d.state = 'dead' AND d.first_tried_at >= %(since)s AND c.deleted_at IS NULL AND r.deleted_at IS NULL
GROUP BY c.channel_id ORDER BY c.customer_id, c.name
