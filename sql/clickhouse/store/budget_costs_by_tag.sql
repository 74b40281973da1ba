-- Grain: provider x account x day: exact costs in one currency of charges with some values of a tag. Source: raw_costs, as no derived table
-- has tags. For: how budgets stand. NULL among the values: charges without a value of that tag.
WITH
    toDate(raw_costs.charge_period_start) AS charge_date,
    ifNull(raw_costs.sub_account_id, '') AS sub_account_id, ifNull(raw_costs.region_id, '') AS region_id
SELECT provider, account_id, charge_date, toString(sum(toDecimal256(ifNull({cost:Identifier}, 0), 18))) AS amount
FROM raw_costs
-- include: resolved_generations
    -- include: line_items_of_days
    -- include: charge_filters
    -- include: currency_filter
    AND has({tag_values:Array(Nullable(String))}, raw_costs.tags[{tag_filter:String}])
GROUP BY provider, account_id, charge_date
