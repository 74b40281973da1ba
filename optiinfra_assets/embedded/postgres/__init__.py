"""The embedded PostgreSQL, from the binaries in a wheel."""
