-- Grain: group x currency x bucket of days. Source: raw_costs. For: /export/trends with a tag.
-- An identifier parameter names a column or an alias under WITH: `nothing` for a dimension not asked, daily ... monthly for the bucket.
WITH
    CAST(NULL, 'Nullable(String)') AS nothing,
    toDate(charge_period_start) AS daily,
    toMonday(toDate(charge_period_start)) AS weekly,
    toStartOfMonth(toDate(charge_period_start)) AS monthly,
    raw_costs.tags[{tag_key:String}] AS tag_key
SELECT
    {granularity:Identifier} AS date,
    nullIf({provider:Identifier}, '') AS provider,
    nullIf({account:Identifier}, '') AS account,
    nullIf({sub_account:Identifier}, '') AS sub_account,
    nullIf({service:Identifier}, '') AS service,
    nullIf({region:Identifier}, '') AS region,
    nullIf({charge_category:Identifier}, '') AS charge_category,
    {tag:Identifier} AS tag,
    -- include: line_item_sums
FROM raw_costs
-- include: resolved_generations
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
GROUP BY date, provider, account, sub_account, service, region, charge_category, tag, currency
ORDER BY currency, date, provider, account, sub_account, service, region, charge_category, tag
