"""ClickHouse: everything that writes or resolves generations."""
