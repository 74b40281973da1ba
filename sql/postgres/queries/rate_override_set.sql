-- Stores a customer's own rate for a month, and writes that to the audit log with the rate it had.
WITH before AS (
    SELECT rate FROM optiinfra.rate_overrides
    WHERE customer_id = %(customer_id)s AND month = %(month)s AND currency = %(currency)s AND into_currency = %(into_currency)s
)

INSERT INTO optiinfra.rate_overrides AS stored (customer_id, month, currency, into_currency, rate)
VALUES (%(customer_id)s, %(month)s, %(currency)s, %(into_currency)s, %(rate)s)
ON CONFLICT (customer_id, month, currency, into_currency) DO UPDATE SET rate = excluded.rate, set_at = now()
RETURNING
    month,
    currency,
    into_currency,
    rate,
    set_at,
    optiinfra.note_rate(%(actor)s, %(origin)s, 'set_rate', customer_id, %(name)s, (SELECT rate::text FROM before)) IS NULL AS noted
