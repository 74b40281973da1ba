"""The embedded ClickHouse: its HTTP interface over chDB, in a process of its own."""
