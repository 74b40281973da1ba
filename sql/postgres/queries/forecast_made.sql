-- The newest forecast of a customer that was made by an instant, without its body.
SELECT made_at, generation, data_through, published_at, is_simulated, is_by_sub_account
FROM optiinfra.forecasts
WHERE forecasts.customer_id = %(customer_id)s AND made_at <= %(as_of)s
ORDER BY made_at DESC
LIMIT 1
