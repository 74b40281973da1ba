-- Stores what was expected of a day.
INSERT INTO optiinfra.expectations (customer_id, charge_date, judged_at, body)
VALUES (%(customer_id)s, %(charge_date)s, %(judged_at)s, %(body)s)
ON CONFLICT (customer_id, charge_date, judged_at) DO UPDATE SET body = excluded.body
