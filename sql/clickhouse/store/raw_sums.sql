-- Line items and costs of some generations by generation and currency.
SELECT
    generation,
    -- include: exact_sums
FROM raw_costs
-- include: generations
GROUP BY generation, billing_currency
