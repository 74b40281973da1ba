-- When a rate was last stored; null before the first.
SELECT max(stored_at) AS stored_at FROM optiinfra.rates
