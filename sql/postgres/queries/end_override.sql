-- Ends an override that stands, and returns it; what was forecast with it can still be asked for. Writes that to the audit log.
WITH ended AS (
    UPDATE optiinfra.forecast_overrides SET ended_at = %(ended_at)s
    WHERE override_id = %(override_id)s AND forecast_overrides.customer_id = %(customer_id)s AND ended_at IS NULL
    RETURNING override_id, customer_id, chosen, month, currency, amount, factor, note, author, author_name, made_at
)

SELECT * FROM ended
WHERE optiinfra.note_view(%(actor)s, %(origin)s, 'remove_forecast_override', customer_id, to_char(month, 'YYYY-MM'), 'of ' || author_name) IS NOT NULL
