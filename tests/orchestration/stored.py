"""Everything a platform of a test keeps, to search it for what must not be there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import psycopg
from orchestrated import Platform


def everything_stored(platform: Platform) -> Iterator[tuple[str, bytes]]:
    """Where things are kept, and all that is there: both databases, Dagster's own storage, every file under home."""
    with psycopg.connect(str(platform.settings.postgres_url)) as connection:
        tables = connection.execute(
            "SELECT format('%I.%I', schemaname, tablename) FROM pg_tables "
            "WHERE schemaname NOT IN ('pg_catalog', 'information_schema')"
        ).fetchall()
        for (table,) in tables:
            with connection.cursor().copy(f"COPY {table} TO STDOUT (FORMAT binary)".encode()) as copy:
                yield table, b"".join(bytes(part) for part in copy)
    client = platform.warehouse.client
    for (table,) in client.query("SHOW TABLES").result_rows:
        yield table, client.raw_query(f"SELECT * FROM {table}", fmt="TSV")
    for run in platform.instance.get_runs():
        yield f"run {run.run_id}", repr(platform.instance.all_logs(run.run_id)).encode()
    for root in (Path(platform.instance.root_directory), platform.settings.home):
        for path in root.rglob("*"):
            if path.is_file():
                yield str(path), path.read_bytes()
