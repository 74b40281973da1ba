-- Conditions: charges on UTC days of [start, end).
AND charge_date >= {start:Date}
AND charge_date < {end:Date}
