-- cost_by_service of some generations: day x service x currency. Source: raw_costs.
SELECT
    -- include: generation_key,
    -- include: charge_day,
    service_name,
    -- include: cost_sums
FROM raw_costs
-- include: generations
GROUP BY
    customer_id, provider, account_id, generation, billing_period, charge_date, service_name, billing_currency
