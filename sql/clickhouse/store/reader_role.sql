-- The role of users who read for one customer at a time.
CREATE ROLE IF NOT EXISTS optiinfra_reader
