-- Grain: account x day x currency: exact costs of charges. Source: raw_costs, for filters that no derived table has. For: how
-- budgets stand.
WITH toDate(raw_costs.charge_period_start) AS charge_date
SELECT account_id, charge_date, billing_currency, toString(sum(toDecimal256(ifNull({cost:Identifier}, 0), 18))) AS amount
-- include: resolved_line_items
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
GROUP BY account_id, charge_date, billing_currency
