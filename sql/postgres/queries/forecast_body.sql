-- The series of one forecast.
SELECT body FROM optiinfra.forecasts WHERE forecasts.customer_id = %(customer_id)s AND made_at = %(made_at)s
