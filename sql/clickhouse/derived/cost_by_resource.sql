-- cost_by_resource of some generations: month of the charge x resource x service x region x sub account x charge category x currency.
-- Source: raw_costs. Name and type come from the charge that begins last; of several at one instant, from the highest line number.
WITH bitShiftLeft(toUInt64(toUnixTimestamp(raw_costs.charge_period_start)), 32) + line_number AS recency
SELECT
    -- include: generation_key,
    toStartOfMonth(charge_period_start) AS charge_month,
    -- include: charge_dimensions,
    ifNull(raw_costs.resource_id, '') AS resource_id,
    ifNull(argMax(raw_costs.resource_name, recency), '') AS resource_name,
    toLowCardinality(ifNull(argMax(raw_costs.resource_type, recency), '')) AS resource_type,
    -- include: cost_sums
FROM raw_costs
-- include: generations
GROUP BY
    customer_id, provider, account_id, generation, billing_period, charge_month, sub_account_id, service_name, region_id, charge_category, resource_id, billing_currency
