-- Stores nothing: what is inserted here goes through a materialized view for each table to raw_costs and to all derived tables, in one
-- statement. For: small slices, of which the eleven statements cost more than the rows. Columns are those of raw_costs: a migration that
-- adds one there adds it here. The views are made by warehouse/collected_views.py, from the statements of sql/clickhouse/derived.
CREATE TABLE IF NOT EXISTS collected_line_items
AS raw_costs
ENGINE = Null
