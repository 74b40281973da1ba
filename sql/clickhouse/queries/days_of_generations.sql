-- Grain: day x currency, over many generations. Source: cost_by_day. For: what the service keeps in memory of a customer with many slices.
SELECT
    charge_date,
    billing_currency,
    -- include: derived_sums
FROM cost_by_day AS derived
-- include: resolved_generations
GROUP BY charge_date, billing_currency
