-- Published generations, without those that retention has removed, whose line items are not those that were published: their number, or the
-- exact sum of a cost in a currency, differs. Sums have 256 bits, as in sums_of_generations.sql.
SELECT customer_id, provider, account_id, billing_period, generation
FROM publications AS published
LEFT JOIN
(
    SELECT
        customer_id,
        generation,
        sum(items) AS written_items,
        arraySort(groupArray((currency, billed, effective, list, contracted))) AS written_sums
    FROM
    (
        SELECT
            customer_id,
            generation,
            line.billing_currency AS currency,
            count() AS items,
            sum(toDecimal256(line.billed_cost, 18)) AS billed,
            sum(toDecimal256(line.effective_cost, 18)) AS effective,
            sum(toDecimal256(ifNull(line.list_cost, 0), 18)) AS list,
            sum(toDecimal256(ifNull(line.contracted_cost, 0), 18)) AS contracted
        FROM raw_costs AS line
        GROUP BY customer_id, generation, currency
    )
    GROUP BY customer_id, generation
) AS written USING (customer_id, generation)
WHERE generation NOT IN (SELECT generation FROM removed_generations)
    AND (
        published.line_items != written_items
        OR arraySort(arrayZip(currencies, billed_cost, effective_cost, list_cost, contracted_cost)) != written_sums
    )
LIMIT 1
