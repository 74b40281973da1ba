-- The newest rate of each currency that is quoted by a day, and since when it is stored; of one currency, if that is named.
SELECT DISTINCT ON (currency) currency, day, per_euro, source, stored_at
FROM optiinfra.rates
WHERE
    day <= %(day)s
    AND day > %(day)s::date - 14
    AND (%(currency)s::text IS NULL OR currency = %(currency)s)
ORDER BY currency, day DESC, source DESC
