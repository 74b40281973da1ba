-- The newest rate of each currency that is quoted by a day, by default the newest, and since when it is stored; of one currency, if that is named.
WITH asked AS (
    SELECT coalesce(%(day)s::date, max(day)) AS by_day FROM optiinfra.rates
)

SELECT DISTINCT ON (currency) currency, day, per_euro, source, stored_at
FROM optiinfra.rates, asked
WHERE
    day <= by_day
    AND day > by_day - 14
    AND (%(currency)s::text IS NULL OR currency = %(currency)s)
ORDER BY currency, day DESC, source DESC
