-- Forgets the frozen rates of a month between two currencies, in either direction, for a customer.
DELETE FROM optiinfra.frozen_rates
WHERE
    customer_id = %(customer_id)s
    AND day >= %(month)s
    AND day < %(month)s::date + interval '1 month'
    AND (currency, into_currency) IN ((%(currency)s, %(into_currency)s), (%(into_currency)s, %(currency)s))
