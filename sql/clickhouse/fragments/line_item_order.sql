-- The end of a statement: line items in the order of the table's key: ClickHouse sorts nothing, and the same query gives the same bytes.
ORDER BY customer_id, generation, raw_costs.charge_period_start, raw_costs.service_name, line_number
