-- cost_by_day of some generations: day x currency. Source: raw_costs.
SELECT
    -- include: generation_key,
    -- include: charge_day,
    -- include: cost_sums
FROM raw_costs
-- include: generations
GROUP BY
    customer_id, provider, account_id, generation, billing_period, charge_date, billing_currency
