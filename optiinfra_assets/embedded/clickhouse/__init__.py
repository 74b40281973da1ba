"""The embedded ClickHouse: serves ClickHouse's HTTP interface over chDB in a process of its own."""
