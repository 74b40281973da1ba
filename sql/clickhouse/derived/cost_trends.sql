-- cost_trends of some generations: day x sub account x service x region x charge category x currency. Source: raw_costs.
SELECT
    -- include: generation_key,
    toDate(charge_period_start) AS charge_date,
    ifNull(raw_costs.sub_account_id, '') AS sub_account_id,
    service_name,
    ifNull(raw_costs.region_id, '') AS region_id,
    charge_category,
    -- include: cost_sums
FROM raw_costs
-- include: generations
GROUP BY
    customer_id, provider, account_id, generation, billing_period, charge_date, sub_account_id, service_name, region_id, charge_category, billing_currency
