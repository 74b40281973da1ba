-- It reads, in this database.
GRANT SELECT ON * TO optiinfra_reader
