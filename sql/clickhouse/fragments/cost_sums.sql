-- Select list: currency and sums of a derived table. *_missing count line items without that price, so that nobody takes a sum over them
-- for complete. The table name qualifies a column where an alias has the same name.
billing_currency,
sum(billed_cost) AS billed_cost,
sum(effective_cost) AS effective_cost,
sum(ifNull(raw_costs.list_cost, 0)) AS list_cost,
sum(ifNull(raw_costs.contracted_cost, 0)) AS contracted_cost,
countIf(isNull(raw_costs.list_cost)) AS list_cost_missing,
countIf(isNull(raw_costs.contracted_cost)) AS contracted_cost_missing,
count() AS line_items
