-- Grain: day x service: what one account, or a service of it, used on the UTC days of [start, end). Source: cost_by_sku. For: anomalies.
-- Sums have 256 bits, because a sum of Decimal(38, 18) wraps silently beyond 1.7e20.
SELECT charge_date, service_name, toString(sum(toDecimal256(billed_cost, 18))) AS amount
FROM cost_by_sku
-- include: resolved_generations
    -- include: charges_of_days
    -- include: usage_of_series
GROUP BY charge_date, service_name
