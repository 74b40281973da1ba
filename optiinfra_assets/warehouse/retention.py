"""Which generations are kept, and the removal of the others.

SnapshotRecord: the newest of each slice; of the superseded ones the last of each UTC day, for as many days as asked: so the state at
the end of each of these days can be read; and what was superseded less than an hour ago, which a reader may just be using.

Removal goes in two steps, at least an hour apart, so that no reader loses rows between resolving and reading. First a
generation is put on record as removed: from then on an `asOf` read that needs it is refused. In a later run its rows go.
Orphans, rows of generations that were never published and whose attempt is dead, are visible to nobody and go at once.

Everything may be repeated, at any point of a run that died.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from optiinfra_assets.database import clickhouse, sql_files

GRACE: Final = timedelta(hours=1)
"""How long a reader may take from resolving to reading; the longest query time-out is minutes."""

_CHUNK = 500
"""Generations named in one statement: as text in a URL they stay far below the servers' limit of 1 MiB."""


@dataclass(frozen=True, slots=True)
class GarbageCollectionResult:
    """What one run removed, or with a dry run would remove.

    Attributes:
        expired: superseded generations newly on record as removed.
        removed: generations whose rows went now, put on record by an earlier run.
        orphans: generations never published whose rows went now.
        rows: rows that went, over all tables.
    """

    expired: int
    removed: int
    orphans: int
    rows: int


@dataclass(frozen=True, slots=True)
class _Remains:
    """Rows of one generation in one partition of one table that may go."""

    table: str
    partition: str
    customer_id: str
    generation: int
    rows: int
    was_published: bool


def collect_garbage(
    client: Client,
    tables: Sequence[str],
    now: datetime,
    retention_days: int,
    live_generations: Collection[int],
    *,
    dry_run: bool = False,
) -> GarbageCollectionResult:
    """Put expired generations on record, and remove from `tables` the rows of earlier ones and of orphans.

    Args:
        client: where.
        tables: every table with rows of generations.
        now: aware instant of this run.
        retention_days: days, 0 or more, before the UTC day of `now`, at whose end the state can be read.
        live_generations: unpublished ones that may still be loading. An orphan is never one of them, and it was begun
            before something that is published for an hour, so that an attempt begun after this list was made is safe.
        dry_run: change nothing.
    """
    values = {
        "now": now.astimezone(UTC),
        "retention_days": retention_days,
        "grace": int(GRACE.total_seconds()),
    }
    expired = len(clickhouse.rows(client, "expired_generations.sql", values))
    if expired and not dry_run:
        select = sql_files.read("clickhouse", "store", "expired_generations.sql")
        clickhouse.run(
            client, f"INSERT INTO removed_generations (customer_id, generation, removed_at)\n{select}", values
        )
    remains = [
        one
        for table in tables
        for one in _remains(client, table, values)
        if one.was_published or one.generation not in live_generations
    ]
    if not dry_run:
        _remove(client, remains)
    return GarbageCollectionResult(
        expired=expired,
        removed=len({one.generation for one in remains if one.was_published}),
        orphans=len({one.generation for one in remains if not one.was_published}),
        rows=sum(one.rows for one in remains),
    )


def _remains(client: Client, table: str, values: dict[str, Any]) -> Iterable[_Remains]:
    return (_Remains(table, **row) for row in clickhouse.rows(client, "remains.sql", {**values, "table": table}))


def _remove(client: Client, remains: Iterable[_Remains]) -> None:
    """Delete for good, one statement a table and partition.

    Whole partitions are not dropped, though cheaper: rows that a collector adds meanwhile would go with them.
    """
    groups = defaultdict[tuple[str, str], list[_Remains]](list)
    for one in remains:
        groups[one.table, one.partition].append(one)
    for (table, partition), members in sorted(groups.items()):
        for at in range(0, len(members), _CHUNK):
            chunk = members[at : at + _CHUNK]
            values = {
                "table": table,
                "partition": partition,
                "customers": sorted({one.customer_id for one in chunk}),
                "generations": sorted({one.generation for one in chunk}),
            }
            clickhouse.run(client, sql_files.read("clickhouse", "store", "remove_rows.sql"), values, mutations_sync=2)


def delete(client: Client, tables: Sequence[str], customer_id: str, generation: int) -> None:
    """Hide the rows of one generation in `tables`, one after another; merges remove them later."""
    values = {"customer_id": customer_id, "generation": generation}
    found = clickhouse.rows(client, "partitions_of_generation.sql", {**values, "tables": clickhouse.matching(tables)})
    for one in sorted(found, key=lambda one: tables.index(one["table"])):
        clickhouse.run(client, sql_files.read("clickhouse", "store", "delete_rows.sql"), {**values, **one})
