-- Grain: state of messages of alerts. For /metrics; messages of removed rules and channels are left out: they were given up on purpose.
SELECT d.state, count(*) AS messages
FROM optiinfra.alert_deliveries AS d JOIN optiinfra.alert_channels AS c USING (channel_id) JOIN optiinfra.alert_rules AS r USING (rule_id)
WHERE c.deleted_at IS NULL AND r.deleted_at IS NULL
GROUP BY d.state
