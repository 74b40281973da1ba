-- The rates of a currency, of the last source by name where several quote a date.
SELECT DISTINCT ON (day) day, per_euro, source
FROM optiinfra.rates WHERE currency = %(currency)s
ORDER BY day, source DESC
