-- Published generations whose line items a derived table does not count completely, without those that retention has removed.
SELECT DISTINCT customer_id, generation
FROM publications
LEFT JOIN
(
    SELECT generation, sum(line_items) AS derived
    FROM {table:Identifier}
    GROUP BY generation
) AS found USING (generation)
WHERE publications.line_items != found.derived AND generation NOT IN (SELECT generation FROM removed_generations)
ORDER BY generation
