-- Select list: the series of one group and currency: dates, amounts as strings, and sums. `points` are its (date, amount) in order.
billing_currency AS currency,
points.1 AS dates,
arrayMap(amount -> toString(amount), points.2) AS amounts,
toString(sum(bucket_amount)) AS total,
sum(bucket_unpriced) AS unpriced_line_items,
sum(bucket_line_items) AS line_items
