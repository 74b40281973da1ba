-- Select list: currency and sums over line items. Sums have 256 bits, because a sum in 128 bits wraps silently past 20 integer digits.
billing_currency,
sum(toDecimal256(raw_costs.billed_cost, 18)) AS billed_cost,
sum(toDecimal256(raw_costs.effective_cost, 18)) AS effective_cost,
sum(toDecimal256(ifNull(raw_costs.list_cost, 0), 18)) AS list_cost,
sum(toDecimal256(ifNull(raw_costs.contracted_cost, 0), 18)) AS contracted_cost,
countIf(isNull(raw_costs.list_cost)) AS list_cost_missing,
countIf(isNull(raw_costs.contracted_cost)) AS contracted_cost_missing,
count() AS line_items
