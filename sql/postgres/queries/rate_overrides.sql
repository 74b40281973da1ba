-- A customer's own rates, the newest month first.
SELECT month, currency, into_currency, rate, set_at
FROM optiinfra.rate_overrides WHERE customer_id = %(customer_id)s
ORDER BY month DESC, currency, into_currency
