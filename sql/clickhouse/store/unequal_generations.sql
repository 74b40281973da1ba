-- Published generations, without those that retention has removed, whose line items are not those that were published: their number, or the
-- exact sum of a cost in a currency, differs. Sums have 256 bits, as in raw_sums.sql.
SELECT customer_id, provider, account_id, billing_period, generation
FROM publications
LEFT JOIN
(
    SELECT
        customer_id,
        generation,
        sum(line_items) AS written_items,
        arraySort(groupArray((billing_currency, billed, effective, list, contracted))) AS written_sums
    FROM
    (
        SELECT
            customer_id,
            generation,
            billing_currency,
            count() AS line_items,
            sum(toDecimal256(raw_costs.billed_cost, 18)) AS billed,
            sum(toDecimal256(raw_costs.effective_cost, 18)) AS effective,
            sum(toDecimal256(ifNull(raw_costs.list_cost, 0), 18)) AS list,
            sum(toDecimal256(ifNull(raw_costs.contracted_cost, 0), 18)) AS contracted
        FROM raw_costs
        GROUP BY customer_id, generation, billing_currency
    )
    GROUP BY customer_id, generation
) AS written USING (customer_id, generation)
WHERE generation NOT IN (SELECT generation FROM removed_generations)
    AND (
        publications.line_items != written_items
        OR arraySort(arrayZip(currencies, billed_cost, effective_cost, list_cost, contracted_cost)) != written_sums
    )
ORDER BY generation
LIMIT 1
