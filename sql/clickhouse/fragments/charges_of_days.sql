-- Conditions: charges on the UTC days of [start, end).
AND charge_date >= {start:Date}
AND charge_date < {end:Date}
