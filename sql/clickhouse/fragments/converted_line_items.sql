-- Select list: what line items are together in the display currency; as converted_charges.sql, which explains it.
{display_currency:String} AS display_currency,
if(min({rate_numbers:Array(Array(UInt16))}[indexOf({rate_currencies:Array(String)}, billing_currency)][toUInt32(toDate(raw_costs.charge_period_start) - {rates_from:Date}) + 1] AS rate_number) = 0,
    NULL, toDecimal128(roundBankers(sum(toDecimal256(ifNull({converted_cost:Identifier}, 0), 18) * {rate_values:Array(Decimal(76, 36))}[rate_number]), 18), 18)) AS converted_cost,
if(min(rate_number) = max(rate_number) AND max(rate_number) > 0, toDecimal128(roundBankers({rate_values:Array(Decimal(76, 36))}[max(rate_number)], 18), 18), NULL) AS rate,
min({rate_days:Array(Nullable(Date))}[rate_number]) AS first_rate_date,
max({rate_days:Array(Nullable(Date))}[rate_number]) AS last_rate_date,
nullIf(arrayStringConcat(arraySort(groupUniqArrayIf({rate_sources:Array(String)}[rate_number], rate_number > 0)), ', '), '') AS rate_source,
if(min(rate_number) > 0, NULL, concat('No rate from ', billing_currency, ' to ', {display_currency:String}, ' on ', toString(uniqExactIf(toDate(raw_costs.charge_period_start), rate_number = 0)),
    ' days from ', toString(minIf(toDate(raw_costs.charge_period_start), rate_number = 0)), ' to ', toString(maxIf(toDate(raw_costs.charge_period_start), rate_number = 0)))) AS conversion_warning
