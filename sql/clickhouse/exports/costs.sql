-- Grain: group x currency x bucket of days. Source: cost_trends. For: /export/trends by any of its dimensions.
-- An identifier parameter names a column, or an alias under WITH: `nothing` for a dimension that is not asked, daily, weekly or monthly
-- for the bucket (its first day). ClickHouse optimizes empty filters away.
WITH
    CAST(NULL, 'Nullable(String)') AS nothing,
    0 AS none,
    charge_date AS daily,
    toMonday(charge_date) AS weekly,
    toStartOfMonth(charge_date) AS monthly
SELECT
    {granularity:Identifier} AS date,
    nullIf({provider:Identifier}, '') AS provider,
    nullIf({account:Identifier}, '') AS account,
    nullIf({sub_account:Identifier}, '') AS sub_account,
    nullIf({service:Identifier}, '') AS service,
    nullIf({region:Identifier}, '') AS region,
    nullIf({charge_category:Identifier}, '') AS charge_category,
    -- include: charge_sums,
    -- include: converted_charges
FROM cost_trends
-- include: resolved_generations
    -- include: charges_of_days
    AND (empty({sub_accounts:Array(String)}) OR has({sub_accounts:Array(String)}, sub_account_id))
    AND (empty({services:Array(String)}) OR has({services:Array(String)}, service_name))
    AND (empty({regions:Array(String)}) OR has({regions:Array(String)}, region_id))
    AND (empty({charge_categories:Array(String)}) OR has({charge_categories:Array(String)}, cost_trends.charge_category))
    -- include: currency_filter
GROUP BY date, provider, account, sub_account, service, region, charge_category, currency
ORDER BY currency, date, provider, account, sub_account, service, region, charge_category
