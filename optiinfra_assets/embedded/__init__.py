"""The one-command installation: ClickHouse over HTTP on chDB, PostgreSQL, Dagster's folder, and the supervisor of all processes."""
