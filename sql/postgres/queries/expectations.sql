-- What was expected of the days of [start, end), as it was judged last by an instant.
SELECT DISTINCT ON (charge_date) charge_date, body
FROM optiinfra.expectations
WHERE
    expectations.customer_id = %(customer_id)s
    AND charge_date >= %(start)s
    AND charge_date < %(end)s
    AND judged_at <= coalesce(%(as_of)s::timestamptz, 'infinity')
ORDER BY charge_date, judged_at DESC
