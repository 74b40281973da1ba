-- The role optiinfra_reader sees only rows of the customer that its query names in a setting; a query that names none fails.
CREATE ROW POLICY IF NOT EXISTS optiinfra_customer ON *
FOR SELECT USING customer_id = getSetting('SQL_optiinfra_customer_id') TO optiinfra_reader
