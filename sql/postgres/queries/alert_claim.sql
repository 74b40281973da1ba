-- Takes the delivery that has waited longest, if one is due: its next attempt would begin at the end of the lease, in case this one dies.
-- Not of a muted rule, and not of the channels and customers whose deliveries have just failed.
WITH due AS (
    SELECT d.delivery_id, r.name AS rule_name, r.kind AS rule_kind, r.timing, to_jsonb(c) AS channel
    FROM optiinfra.alert_deliveries AS d
    JOIN optiinfra.alert_rules AS r USING (rule_id)
    JOIN optiinfra.alert_channels AS c USING (channel_id)
    WHERE d.state = 'waiting'
        AND d.due_at <= %(at)s
        AND (r.muted_until IS NULL OR r.muted_until <= %(at)s)
        AND d.channel_id <> ALL (%(channels)s::text[])
        AND d.customer_id <> ALL (%(customers)s::text[])
    ORDER BY d.due_at, d.delivery_id
    LIMIT 1
    FOR UPDATE OF d SKIP LOCKED
)
UPDATE optiinfra.alert_deliveries AS taken
SET attempts = attempts + 1, first_tried_at = coalesce(first_tried_at, %(at)s), due_at = %(lease_end)s
FROM due
WHERE taken.delivery_id = due.delivery_id
RETURNING
    taken.delivery_id, taken.rule_id, taken.customer_id, attempts AS attempt, first_tried_at, content,
    rule_name, rule_kind, timing, channel
