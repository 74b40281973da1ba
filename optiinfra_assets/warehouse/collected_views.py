"""The materialized views that write what is inserted into ``collected_line_items`` to ``raw_costs`` and to every derived table.

One statement then does what took eleven, of which each costs ClickHouse 11 to 15 ms of CPU whatever it writes. A view sees the rows of
one block, so all that is inserted has to be one block, or a derived table gets two rows where its statement makes one: large slices are
written while they are read, and derived by the statements themselves.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from clickhouse_connect.driver.client import Client

from optiinfra_assets.database import clickhouse, sql_files
from optiinfra_assets.database.migrations import on_cluster

SOURCE: Final = "collected_line_items"
"""The table that stores nothing and is inserted into."""
_PREFIX: Final = "collected_to_"


def create_views(client: Client, cluster: str | None, derived: Sequence[str], *, dry_run: bool) -> list[str]:
    """Create the views that do not exist or were made of other statements; return what ran, or with `dry_run` would run.

    Args:
        client: ClickHouse with the tables of all migrations.
        cluster: name of the cluster on whose servers they are created, None for one server.
        derived: names of the derived tables.
        dry_run: change nothing.
    """
    stored = {
        row["name"]: row["comment"] for row in clickhouse.rows(client, "collected_views.sql", {"prefix": _PREFIX})
    }
    statements = [
        on_cluster(statement, cluster)
        for table, select in _selects(derived)
        if stored.get(f"{_PREFIX}{table}") != _mark(select)
        for statement in _making(table, select, is_stored=f"{_PREFIX}{table}" in stored)
    ]
    if not dry_run:
        for statement in statements:
            clickhouse.run(client, statement)
    return statements


def _selects(derived: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Each table, and the statement that makes its rows of all rows of a block."""
    yield "raw_costs", f"SELECT *\nFROM {SOURCE}"
    for table in derived:
        select = sql_files.read_without("generations", "clickhouse", "derived", f"{table}.sql")
        yield table, select.replace("FROM raw_costs", f"FROM {SOURCE} AS raw_costs")


def _mark(select: str) -> str:
    return hashlib.sha256(select.encode()).hexdigest()


def _making(table: str, select: str, *, is_stored: bool) -> Iterator[str]:
    name = f"{_PREFIX}{table}"
    if is_stored:
        yield f"DROP VIEW IF EXISTS {name}"
    yield f"CREATE MATERIALIZED VIEW IF NOT EXISTS {name}\nTO {table}\nAS {select}\nCOMMENT '{_mark(select)}'"
