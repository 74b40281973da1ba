-- Grain: account x day x currency: exact costs. Source: cost_trends. For: how budgets stand.
SELECT account_id, charge_date, billing_currency, toString(sum(toDecimal256({cost:Identifier}, 18))) AS amount
FROM cost_trends
-- include: resolved_generations
    -- include: charges_of_days
    -- include: charge_filters
    -- include: currency_filter
GROUP BY account_id, charge_date, billing_currency
