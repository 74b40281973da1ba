-- Select list: the UTC day on which charges begin.
toDate(charge_period_start) AS charge_date
