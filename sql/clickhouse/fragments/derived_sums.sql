-- Select list: costs and line items of rows of a derived table, which the statement calls `derived`: without that name an alias would be
-- taken for its column. Sums have 256 bits: those of Decimal(38, 18) wrap silently beyond 1.7e20.
sum(toDecimal256(derived.billed_cost, 18)) AS billed_cost,
sum(toDecimal256(derived.effective_cost, 18)) AS effective_cost,
sum(toDecimal256(derived.list_cost, 18)) AS list_cost,
sum(toDecimal256(derived.contracted_cost, 18)) AS contracted_cost,
sum(derived.list_cost_missing) AS list_cost_missing,
sum(derived.contracted_cost_missing) AS contracted_cost_missing,
sum(derived.line_items) AS line_items
