-- Select list: currency and sums over line items. Sums have 256 bits; if a sum does not fit into the 38 digits of the answer, ClickHouse
-- raises an error and never wraps the number.
billing_currency AS currency,
toDecimal128(sum(toDecimal256(ifNull({cost:Identifier}, 0), 18)), 18) AS cost,
count() AS line_items,
countIf(isNull({cost:Identifier})) AS unpriced_line_items
