-- Freezes rates of days that have none yet: whoever is first decides.
INSERT INTO optiinfra.frozen_rates (customer_id, method, currency, into_currency, day, rate, quoted, source)
SELECT %(customer_id)s, %(method)s, %(currency)s, %(into_currency)s, given.day, given.rate, given.quoted, given.source
FROM unnest(%(days)s::date[], %(rates)s::numeric[], %(quoted)s::date[], %(sources)s::text[]) AS given (day, rate, quoted, source)
ON CONFLICT (customer_id, method, currency, into_currency, day) DO NOTHING
