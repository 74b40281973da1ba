-- cost_by_charge of some generations: day x sub account x service x region x charge category, class and frequency x commitment x currency.
-- Source: raw_costs. The commitment is what a recurring charge pays for, and '' for other charges.
SELECT
    -- include: generation_key,
    -- include: charge_day,
    -- include: charge_dimensions,
    -- include: charge_kind,
    if(raw_costs.charge_frequency = 'Recurring', coalesce(commitment_discount_id, resource_id, sku_id, ''), '') AS commitment,
    -- include: cost_sums
FROM raw_costs
-- include: generations
GROUP BY
    customer_id, provider, account_id, generation, billing_period, charge_date, sub_account_id, service_name, region_id, charge_category, charge_class, charge_frequency, commitment, billing_currency
