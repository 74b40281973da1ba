-- Removes what anomalies were before `oldest` and are not any more, and those whose last day is before it with what was said of them.
WITH forgotten AS (
    DELETE FROM optiinfra.anomaly_versions AS old
    WHERE
        old.customer_id = %(customer_id)s
        AND (
            old.last_day < %(oldest)s::date
            OR old.made_at < %(oldest)s AND EXISTS (
                SELECT 1 FROM optiinfra.anomaly_versions AS newer
                WHERE newer.customer_id = old.customer_id AND newer.anomaly_id = old.anomaly_id AND newer.made_at > old.made_at
            )
        )
    RETURNING old.anomaly_id, old.last_day
)

DELETE FROM optiinfra.anomaly_states AS said
USING forgotten
WHERE said.customer_id = %(customer_id)s AND said.anomaly_id = forgotten.anomaly_id AND forgotten.last_day < %(oldest)s::date
