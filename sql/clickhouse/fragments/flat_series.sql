-- Select list: the last columns of a cost series in one level, over the aliases of flat_sums.
billing_currency AS currency,
points.1 AS dates,
arrayMap(amount -> toString(amount), points.2) AS amounts,
toString(cost_sum) AS total,
sum({unpriced:Identifier}) AS unpriced_line_items
