-- Grain: provider x account x day: exact costs in one currency. Source: cost_trends. For: how budgets stand.
SELECT provider, account_id, charge_date, toString(sum(toDecimal256({cost:Identifier}, 18))) AS amount
FROM cost_trends
-- include: resolved_generations
    -- include: charges_of_days
    -- include: charge_filters
    -- include: currency_filter
GROUP BY provider, account_id, charge_date
