-- Stores rates of a source that are new or differ from what is stored; returns whether each was new. The same again stores nothing.
-- The instant is that of the statement, which begins after the lock: whoever stores later has a later one. lines: date, currency and rate, with a space between them.
INSERT INTO optiinfra.rates AS stored (source, day, currency, per_euro, stored_at)
SELECT %(source)s, given.day, given.currency, given.per_euro, statement_timestamp()
FROM (
    SELECT
        split_part(line, ' ', 1)::date AS day,
        split_part(line, ' ', 2) AS currency,
        split_part(line, ' ', 3)::numeric AS per_euro
    FROM string_to_table(%(lines)s, E'\n') AS line
    WHERE line <> ''
) AS given
ON CONFLICT (currency, day, source) DO UPDATE SET per_euro = excluded.per_euro, stored_at = excluded.stored_at
WHERE stored.per_euro <> excluded.per_euro
RETURNING xmax = 0 AS is_new
