-- By what the days of a customer were judged last, by an instant.
SELECT made_at, generation, data_through, published_at, is_simulated
FROM optiinfra.anomaly_refreshes
WHERE anomaly_refreshes.customer_id = %(customer_id)s AND made_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
ORDER BY made_at DESC
LIMIT 1
