-- Stores what a delivery tells, made of its occasions, oldest first, and returns it; what was stored before stays.
UPDATE optiinfra.alert_deliveries AS frozen
SET content = %(about)s::jsonb || jsonb_build_object('occasions', (
    SELECT jsonb_agg(
        o.message || jsonb_build_object('key', o.occasion_key, 'found_at', o.found_at) ORDER BY o.occasion_id
    )
    FROM optiinfra.alert_outbox AS x
    JOIN optiinfra.alert_occasions AS o USING (occasion_id)
    WHERE x.delivery_id = frozen.delivery_id
))
WHERE delivery_id = %(delivery_id)s
RETURNING content
