-- How many rates are stored, of how many currencies, and of which days; one row a source.
SELECT
    source,
    count(*) AS rates,
    count(DISTINCT currency) AS currencies,
    min(day) AS first_day,
    max(day) AS last_day,
    max(stored_at) AS stored_at
FROM optiinfra.rates GROUP BY source
ORDER BY source
