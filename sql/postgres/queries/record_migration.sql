-- Records that a migration ran, in the transaction that ran it.
INSERT INTO optiinfra.schema_migrations (number, name, checksum) VALUES (%(number)s, %(name)s, %(checksum)s)
