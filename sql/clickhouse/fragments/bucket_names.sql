-- Aliases for identifier parameters that name no column: `nothing` for a dimension that is not asked, so that no column is read; `none` for
-- a cost that every line item has; daily ... whole for the bucket of a day, which is its first day (whole: that of the period).
'' AS nothing,
0 AS none,
formatDateTime(billing_period, '%Y-%m') AS period_key,
charge_date AS daily,
toMonday(charge_date) AS weekly,
toStartOfMonth(charge_date) AS monthly,
{start:Date} AS whole
