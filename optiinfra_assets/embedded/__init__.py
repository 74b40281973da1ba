"""Engines of the one-command installation: ClickHouse over HTTP on chDB, PostgreSQL, and their supervisor."""
