-- cost_by_resource_day of some generations: day x resource x service x region x sub account x charge category x currency.
-- Source: raw_costs.
SELECT
    -- include: generation_key,
    -- include: charge_day,
    -- include: charge_dimensions,
    ifNull(raw_costs.resource_id, '') AS resource_id,
    -- include: cost_sums
FROM raw_costs
-- include: generations
GROUP BY
    customer_id, provider, account_id, generation, billing_period, charge_date, sub_account_id, service_name, region_id, charge_category, resource_id, billing_currency
