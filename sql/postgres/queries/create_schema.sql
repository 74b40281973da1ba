-- Our tables live apart from Dagster's, which share the database.
CREATE SCHEMA IF NOT EXISTS optiinfra
