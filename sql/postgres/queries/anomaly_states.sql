-- What people said of anomalies by an instant, oldest first.
SELECT anomaly_id, set_at, state, until_day, up_to, note, author, author_name, from_day
FROM optiinfra.anomaly_states
WHERE
    anomaly_states.customer_id = %(customer_id)s
    AND anomaly_id = ANY(%(anomaly_ids)s)
    AND set_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
ORDER BY set_at, anomaly_id
