-- cost_by_type of some generations: day x charge category x class x frequency x pricing category x currency. Source: raw_costs.
SELECT
    -- include: generation_key,
    -- include: charge_day,
    charge_category,
    -- include: charge_kind,
    ifNull(raw_costs.pricing_category, '') AS pricing_category,
    -- include: cost_sums
FROM raw_costs
-- include: generations
GROUP BY
    customer_id, provider, account_id, generation, billing_period, charge_date, charge_category, charge_class, charge_frequency, pricing_category, billing_currency
