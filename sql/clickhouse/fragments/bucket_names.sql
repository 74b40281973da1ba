-- Aliases that identifier parameters name where they name no column: `nothing` for a dimension that is not asked, which is then not
-- read, `none` for a cost that no line item lacks, and daily ... total for the bucket of a day: its first day, of total that of the period.
'' AS nothing,
0 AS none,
charge_date AS daily,
toMonday(charge_date) AS weekly,
toStartOfMonth(charge_date) AS monthly,
{start:Date} AS total
