-- The frozen rates of a customer from one currency to another one, by day of the charge.
SELECT day, rate, quoted, source
FROM optiinfra.frozen_rates
WHERE customer_id = %(customer_id)s AND method = %(method)s AND currency = %(currency)s AND into_currency = %(into_currency)s
