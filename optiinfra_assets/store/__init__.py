"""State shared by collection and the API: settings, the ClickHouse warehouse, the PostgreSQL metadata. No Dagster here."""
