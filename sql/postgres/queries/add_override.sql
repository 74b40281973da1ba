-- Stores what a person expects of a month, ends what was expected of the same month, series and currency before, and writes that to the
-- audit log.
WITH ended AS (
    UPDATE optiinfra.forecast_overrides SET ended_at = %(made_at)s
    WHERE
        forecast_overrides.customer_id = %(customer_id)s
        AND forecast_overrides.month = %(month)s
        AND forecast_overrides.chosen = %(chosen)s
        AND forecast_overrides.currency IS NOT DISTINCT FROM %(currency)s
        AND ended_at IS NULL
)

INSERT INTO optiinfra.forecast_overrides (
    override_id, customer_id, chosen, month, currency, amount, factor, note, author, author_name, made_at
)
VALUES (
    %(override_id)s, %(customer_id)s, %(chosen)s, %(month)s, %(currency)s, %(amount)s, %(factor)s, %(note)s, %(author)s,
    %(author_name)s, %(made_at)s
)
RETURNING optiinfra.note_view(
    %(author)s, %(origin)s, 'set_forecast_override', customer_id, to_char(month, 'YYYY-MM'), %(detail)s
) AS noted
