-- A rule that is in use, locked until the end of the transaction; no row if there is none, or another process is at work on it.
SELECT
    -- include: alert_rule_columns
FROM optiinfra.alert_rules
WHERE rule_id = %(rule_id)s AND deleted_at IS NULL
FOR UPDATE SKIP LOCKED
