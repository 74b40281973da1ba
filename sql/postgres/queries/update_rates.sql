-- Stores rates of a source that are new or differ from what is stored; returns whether each was new. The same again stores nothing.
-- lines: date, currency and rate, with a space between them.
INSERT INTO optiinfra.rates AS stored (source, day, currency, per_euro)
SELECT %(source)s, given.day, given.currency, given.per_euro
FROM (
    SELECT
        split_part(line, ' ', 1)::date AS day,
        split_part(line, ' ', 2) AS currency,
        split_part(line, ' ', 3)::numeric AS per_euro
    FROM string_to_table(%(lines)s, E'\n') AS line
    WHERE line <> ''
) AS given
ON CONFLICT (currency, day, source) DO UPDATE SET per_euro = excluded.per_euro, stored_at = now()
WHERE stored.per_euro <> excluded.per_euro
RETURNING xmax = 0 AS is_new
