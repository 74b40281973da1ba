-- What people expected of months at an instant, the newest first: an override ends when another takes its place, or somebody removes it.
SELECT override_id, customer_id, chosen, month, currency, amount, factor, note, author, author_name, made_at
FROM optiinfra.forecast_overrides
WHERE customer_id = %(customer_id)s AND made_at <= %(as_of)s AND (ended_at IS NULL OR ended_at > %(as_of)s)
ORDER BY month, made_at, override_id
