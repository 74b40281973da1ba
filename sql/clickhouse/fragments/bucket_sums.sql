-- The last columns of the inner SELECT: bucket, currency and sums. Sums have 256 bits: those of Decimal(38, 18) wrap silently beyond 1.7e20.
billing_currency,
{granularity:Identifier} AS bucket,
sum(toDecimal256({cost:Identifier}, 18)) AS bucket_amount,
sum({unpriced:Identifier}) AS bucket_unpriced,
sum(line_items) AS bucket_line_items
