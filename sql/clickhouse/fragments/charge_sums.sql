-- Select list: currency and sums over a derived table. Sums have 256 bits; if a sum does not fit into the 38 digits of the answer,
-- ClickHouse raises an error and never wraps the number. unpriced: the column that counts line items without that price, or an alias of 0.
billing_currency AS currency,
toDecimal128(sum(toDecimal256({cost:Identifier}, 18)), 18) AS cost,
sum(line_items) AS line_items,
sum({unpriced:Identifier}) AS unpriced_line_items
