-- Grain: day x account x currency x the dimensions that are asked, of some generations. Source: raw_costs. For: what the service keeps of
-- line items in memory, to sum by a tag or by dimensions that no derived table has.
WITH
    -- include: line_item_names
SELECT
    provider,
    account_id,
    generation,
    billing_period,
    -- include: charge_day,
    -- include: line_item_groups,
    -- include: exact_sums
-- include: resolved_line_items
GROUP BY ALL
