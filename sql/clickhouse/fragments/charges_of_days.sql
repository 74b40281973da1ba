-- Conditions: charges on UTC days of [start, end).
-- Included by: the statements of queries/ and exports/ over a derived table that has charge_date.
-- Parameters: start, end.
AND charge_date >= {start:Date}
AND charge_date < {end:Date}
