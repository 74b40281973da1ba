-- Conditions: line items that begin on the UTC days of [start, end). They limit the billing periods too, because these are the partitions.
-- The table name qualifies the columns, because ClickHouse would take an alias of the same name first.
AND raw_costs.billing_period >= {first_period:Date}
AND raw_costs.billing_period <= {last_period:Date}
AND raw_costs.charge_period_start >= toDateTime({start:Date}, 'UTC')
AND raw_costs.charge_period_start < toDateTime({end:Date}, 'UTC')
