-- Which of some occasions a rule has found already, those among them that nobody was told because it was muted.
SELECT occasion_key
FROM optiinfra.alert_occasions
WHERE rule_id = %(rule_id)s AND occasion_key = ANY(%(keys)s::text[])
