-- Conditions: line items that begin on UTC days of [start, end).
-- Billing periods too, because they are the partitions. The table is named, because an alias of the same name would be taken before its column.
AND billing_period >= {first_period:Date}
AND billing_period <= {last_period:Date}
AND raw_costs.charge_period_start >= toDateTime({start:Date}, 'UTC')
AND raw_costs.charge_period_start < toDateTime({end:Date}, 'UTC')
