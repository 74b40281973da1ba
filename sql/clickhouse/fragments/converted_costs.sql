-- Select list: what the costs of a line item are in the display currency, as converted_charges.sql, which explains it.
{display_currency:String} AS display_currency, toDecimal128(roundBankers(toDecimal256(raw_costs.billed_cost, 18) * ({rate_values:Array(Decimal(76, 36))}[
    nullIf({rate_numbers:Array(Array(UInt16))}[indexOf({rate_currencies:Array(String)}, raw_costs.billing_currency)][toUInt32(toDate(raw_costs.charge_period_start) - {rates_from:Date}) + 1], 0) AS rate_number
] AS exact_rate), 18), 18) AS converted_billed_cost,
toDecimal128(roundBankers(toDecimal256(raw_costs.effective_cost, 18) * exact_rate, 18), 18) AS converted_effective_cost,
toDecimal128(roundBankers(toDecimal256(raw_costs.list_cost, 18) * exact_rate, 18), 18) AS converted_list_cost,
toDecimal128(roundBankers(toDecimal256(raw_costs.contracted_cost, 18) * exact_rate, 18), 18) AS converted_contracted_cost,
toDecimal128(roundBankers(exact_rate, 18), 18) AS rate,
{rate_days:Array(Nullable(Date))}[rate_number] AS rate_date,
{rate_sources:Array(String)}[rate_number] AS rate_source,
if(isNull(rate_number), concat('No rate from ', raw_costs.billing_currency, ' to ', {display_currency:String}, ' on ', toString(toDate(raw_costs.charge_period_start))), NULL) AS conversion_warning
