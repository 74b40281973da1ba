-- Keeps our tables apart from Dagster's tables in the same database.
CREATE SCHEMA IF NOT EXISTS optiinfra
