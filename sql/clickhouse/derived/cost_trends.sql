-- cost_trends of some generations: day x sub account x service x region x charge category x currency. Source: raw_costs.
SELECT
    -- include: generation_key,
    -- include: charge_day,
    -- include: charge_dimensions,
    -- include: cost_sums
FROM raw_costs
-- include: generations
GROUP BY
    customer_id, provider, account_id, generation, billing_period, charge_date, sub_account_id, service_name, region_id, charge_category, billing_currency
