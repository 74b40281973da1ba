-- Select list: what the charges of a derived table are in the display currency, by which rates, and what has none; left out unless it is
-- asked. rate_numbers: by currency, the number of the rate of each day from rates_from on, 0 for none; rate_values, rate_days and
-- rate_sources: rates by their numbers. Sums are exact, then rounded half-even to the 18 digits of the answer.
{display_currency:String} AS display_currency,
if(min({rate_numbers:Array(Array(UInt16))}[indexOf({rate_currencies:Array(String)}, billing_currency)][toUInt32(charge_date - {rates_from:Date}) + 1] AS rate_number) = 0,
    NULL, toDecimal128(roundBankers(sum(toDecimal256({converted_cost:Identifier}, 18) * {rate_values:Array(Decimal(76, 36))}[rate_number]), 18), 18)) AS converted_cost,
if(min(rate_number) = max(rate_number) AND max(rate_number) > 0, toDecimal128(roundBankers({rate_values:Array(Decimal(76, 36))}[max(rate_number)], 18), 18), NULL) AS rate,
min({rate_days:Array(Nullable(Date))}[rate_number]) AS first_rate_date,
max({rate_days:Array(Nullable(Date))}[rate_number]) AS last_rate_date,
nullIf(arrayStringConcat(arraySort(groupUniqArrayIf({rate_sources:Array(String)}[rate_number], rate_number > 0)), ', '), '') AS rate_source,
if(min(rate_number) > 0, NULL, concat('No rate from ', billing_currency, ' to ', {display_currency:String}, ' on ', toString(uniqExactIf(charge_date, rate_number = 0)),
    ' days from ', toString(minIf(charge_date, rate_number = 0)), ' to ', toString(maxIf(charge_date, rate_number = 0)))) AS conversion_warning
