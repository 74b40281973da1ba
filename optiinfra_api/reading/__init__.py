"""Reading from ClickHouse: cost queries, statements, limits, caches."""
