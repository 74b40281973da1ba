-- Conditions: line items that begin on the days of [start, end) before and after the whole months [first_month, end_month).
-- edge_generations, edge_periods: the generations that can have such days, and their billing periods.
WHERE customer_id = {customer_id:String}
    AND generation IN {edge_generations:Array(UInt64)}
    AND billing_period IN {edge_periods:Array(Date)}
    AND ((charge_period_start >= toDateTime({start:Date}, 'UTC') AND charge_period_start < toDateTime({first_month:Date}, 'UTC'))
        OR (charge_period_start >= toDateTime({end_month:Date}, 'UTC') AND charge_period_start < toDateTime({end:Date}, 'UTC')))
