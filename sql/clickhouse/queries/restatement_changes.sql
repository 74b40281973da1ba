-- Grain: pair of generations x day x service x currency in which the two differ. Source: cost_by_service. For: restatements.
-- olds and news are parallel: the generations of each pair. Charges on days of [start, end) count.
SELECT
    pair,
    charge_date AS date,
    service_name AS service,
    billing_currency AS currency,
    toString(sumIf(amount, generation = {olds:Array(UInt64)}[pair])) AS before,
    toString(sumIf(amount, generation = {news:Array(UInt64)}[pair])) AS after,
    toString(
        sumIf(amount, generation = {news:Array(UInt64)}[pair]) - sumIf(amount, generation = {olds:Array(UInt64)}[pair])
    ) AS change
FROM
(
    SELECT
        arrayJoin(
            arrayFilter(
                one -> {olds:Array(UInt64)}[one] = generation OR {news:Array(UInt64)}[one] = generation,
                arrayEnumerate({olds:Array(UInt64)})
            )
        ) AS pair,
        generation,
        charge_date,
        service_name,
        billing_currency,
        toDecimal256({cost:Identifier}, 18) AS amount
    FROM cost_by_service
    -- include: resolved_generations
        -- include: charges_of_days
)
GROUP BY pair, date, service, currency
HAVING before != after
ORDER BY pair, date, service, currency
LIMIT {limit:UInt32}
