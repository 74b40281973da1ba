-- Rules that are in use, by customer and name; a null filter selects all.
SELECT
    -- include: alert_rule_columns
FROM optiinfra.alert_rules AS r
WHERE r.deleted_at IS NULL
    AND r.customer_id = coalesce(%(customer_id)s, r.customer_id)
    AND r.rule_id = coalesce(%(rule_id)s, r.rule_id)
ORDER BY r.customer_id, lower(r.name), r.name
