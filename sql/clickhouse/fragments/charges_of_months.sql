-- Conditions: charges in the months of [first_month, end_month).
AND charge_month >= {first_month:Date}
AND charge_month < {end_month:Date}
