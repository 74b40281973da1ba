-- The role optiinfra_reader may read all tables of this database.
GRANT SELECT ON * TO optiinfra_reader
