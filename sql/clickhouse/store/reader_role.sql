-- The role of whoever reads for one customer at a time.
CREATE ROLE IF NOT EXISTS optiinfra_reader
