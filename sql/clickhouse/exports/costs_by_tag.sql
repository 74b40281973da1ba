-- Grain: group x currency x bucket of days. Source: raw_costs. For: /export/trends by a tag, or what cost_trends lacks.
-- An identifier parameter names a column or an alias under WITH: `nothing` for a dimension not asked, daily ... monthly for the bucket.
-- Of several tags, `tag` is the text of a JSON object.
WITH
    -- include: line_item_names,
    tags_any_case[1] AS tags_any_case_first,
    toJSONString(mapFromArrays({tag_names:Array(String)}, tags_key)) AS tags_key_text,
    toJSONString(mapFromArrays({tag_names:Array(String)}, tags_any_case)) AS tags_any_case_text,
    toDate(charge_period_start) AS daily,
    toMonday(toDate(charge_period_start)) AS weekly,
    toStartOfMonth(toDate(charge_period_start)) AS monthly
SELECT
    {granularity:Identifier} AS date,
    nullIf({provider:Identifier}, '') AS provider,
    nullIf({account:Identifier}, '') AS account,
    nullIf({sub_account:Identifier}, '') AS sub_account,
    nullIf({service:Identifier}, '') AS service,
    nullIf({region:Identifier}, '') AS region,
    nullIf({charge_category:Identifier}, '') AS charge_category,
    {tag:Identifier} AS tag,
    -- include: line_item_sums,
    nullIf({service_provider:Identifier}, '') AS service_provider,
    nullIf({service_category:Identifier}, '') AS service_category,
    nullIf({invoice:Identifier}, '') AS invoice,
    nullIf({period:Identifier}, '') AS billing_period,
    nullIf({sku:Identifier}, '') AS sku,
    nullIf({pricing_category:Identifier}, '') AS pricing_category,
    nullIf({commitment:Identifier}, '') AS commitment,
    -- include: converted_line_items
-- include: resolved_line_items
    -- include: line_items_of_days
    -- include: line_item_filters
    -- include: tag_filter
GROUP BY date, provider, account, sub_account, service, region, charge_category, tag, service_provider, service_category, invoice, billing_period, sku, pricing_category, commitment, currency
ORDER BY currency, date, provider, account, sub_account, service, region, charge_category, tag, service_provider, service_category, invoice, billing_period, sku, pricing_category, commitment
