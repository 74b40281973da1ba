-- Grain: pair of generations x day x service x currency in which the two differ. Source: cost_by_service. For: restatements.
-- olds and news are parallel: the generations of each pair. Charges on days of [start, end) count.
SELECT
    pair,
    charge_date AS date,
    service_name AS service,
    billing_currency AS currency,
    toString(sumIf(toDecimal256({cost:Identifier}, 18), generation = {olds:Array(UInt64)}[pair])) AS before,
    toString(sumIf(toDecimal256({cost:Identifier}, 18), generation = {news:Array(UInt64)}[pair])) AS after,
    toString(
        sumIf(toDecimal256({cost:Identifier}, 18), generation = {news:Array(UInt64)}[pair])
        - sumIf(toDecimal256({cost:Identifier}, 18), generation = {olds:Array(UInt64)}[pair])
    ) AS change
FROM cost_by_service
ARRAY JOIN arrayFilter(
    one -> {olds:Array(UInt64)}[one] = generation OR {news:Array(UInt64)}[one] = generation,
    arrayEnumerate({olds:Array(UInt64)})
) AS pair
WHERE customer_id = {customer_id:String}
    AND generation IN {generations:Array(UInt64)}
    AND charge_date >= {start:Date}
    AND charge_date < {end:Date}
GROUP BY pair, date, service, currency
HAVING before != after
ORDER BY pair, date, service, currency
LIMIT {limit:UInt32}
