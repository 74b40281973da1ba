-- Removes a customer's own rate for a month and writes that to the audit log; returns what it was, no row if there is none.
DELETE FROM optiinfra.rate_overrides
WHERE customer_id = %(customer_id)s AND month = %(month)s AND currency = %(currency)s AND into_currency = %(into_currency)s
RETURNING
    month,
    currency,
    into_currency,
    rate,
    set_at,
    optiinfra.note_rate(%(actor)s, %(origin)s, 'remove_rate', customer_id, %(name)s, rate::text) IS NULL AS noted
