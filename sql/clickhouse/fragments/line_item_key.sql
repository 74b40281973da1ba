-- Select list: the first columns of a line item: what it is of, and its place in its generation.
-- Included by: queries/line_items.sql, queries/line_items_core.sql, exports/line_items.sql. Parameters: none.
provider,
account_id AS account,
billing_period,
generation,
line_number
