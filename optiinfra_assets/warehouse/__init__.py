"""ClickHouse: everything that writes, publishes, resolves and removes generations."""
