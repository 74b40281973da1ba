-- The last columns of the inner SELECT: one bucket of a currency and its sums. Sums have 256 bits, because a sum of Decimal(38, 18)
-- wraps silently beyond 1.7e20.
billing_currency,
{granularity:Identifier} AS bucket,
sum(toDecimal256({cost:Identifier}, 18)) AS bucket_amount,
sum({unpriced:Identifier}) AS bucket_unpriced,
sum(line_items) AS bucket_line_items
