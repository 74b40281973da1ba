-- Stores occasions of a rule, and returns those that are new, in the order in which they were given.
INSERT INTO optiinfra.alert_occasions (customer_id, rule_id, occasion_key, found_at, is_muted, message)
SELECT %(customer_id)s, %(rule_id)s, one.key, %(at)s, %(is_muted)s, one.message
FROM unnest(%(keys)s::text[], %(messages)s::jsonb[]) WITH ORDINALITY AS one (key, message, place)
ORDER BY one.place
ON CONFLICT (rule_id, occasion_key) DO NOTHING
RETURNING occasion_id
