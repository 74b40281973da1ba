-- How many line items the last collection of a slice returned: small slices of many accounts are collected by one run. Null: not known yet.
ALTER TABLE optiinfra.slice_state ADD COLUMN line_items bigint CHECK (line_items >= 0);
