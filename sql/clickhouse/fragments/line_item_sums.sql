-- Select list: currency and sums over line items. In 256 bits; one that the 38 digits of the answer cannot hold is an error of the engine,
-- never a wrapped number.
billing_currency AS currency,
toDecimal128(sum(toDecimal256(ifNull({cost:Identifier}, 0), 18)), 18) AS cost,
count() AS line_items,
countIf(isNull({cost:Identifier})) AS unpriced_line_items
