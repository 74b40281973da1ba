-- Removes the forecasts of a customer that one of this UTC day takes the place of, and those that are older than `oldest`.
DELETE FROM optiinfra.forecasts
WHERE forecasts.customer_id = %(customer_id)s AND (made_at < %(oldest)s OR made_at >= %(day)s)
