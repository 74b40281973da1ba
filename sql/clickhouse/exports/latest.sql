-- Grain: account x currency x day, the newest days that have charges. Source: cost_by_day. For: /export/latest.
WITH 0 AS none
SELECT
    provider,
    account_id AS account,
    charge_date AS date,
    -- include: charge_sums,
    -- include: converted_charges
FROM cost_by_day
-- include: resolved_generations
    -- include: currency_filter
GROUP BY provider, account, currency, date
ORDER BY provider, account, currency, date DESC
LIMIT {days:UInt32} BY provider, account, currency
