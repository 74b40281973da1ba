-- Whether any rate is stored.
SELECT EXISTS (SELECT FROM optiinfra.rates) AS has_rates
