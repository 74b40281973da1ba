-- Removes that days were judged before `oldest`, but for the last time.
DELETE FROM optiinfra.anomaly_refreshes
WHERE anomaly_refreshes.customer_id = %(customer_id)s AND made_at < %(oldest)s AND made_at < %(made_at)s
