"""Retention: decides which generations are kept, and removes the others.

This keeps the newest generation of each slice; the last superseded one of each UTC day, for the given number of days, so that the state at
the end of each of these days can be read; and generations superseded less than an hour ago, which a reader may still be using. Older days
can be thinned: of those, only the state at the end of each week (Sunday) and of each month stays readable.

Removal has two steps, at least an hour apart, so that no reader loses rows between resolving and reading. The first step records a
generation as removed: from then on an `asOf` read that needs it is refused. A later run deletes its rows. Orphans are rows of
generations that were never published and whose attempt is dead; nobody can see them, so they are deleted at once.

Once the rows of a generation are gone, its publication is copied into the archive, and leaves `publications` with a run at least an hour
later: whoever reads both tables finds it in one of them, and who reads what is current does not read what is gone.

A run that died at any point can be repeated.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from clickhouse_connect.driver.client import Client

from optiinfra_assets.database import clickhouse, sql_files

GRACE: Final = timedelta(hours=1)
"""The longest time that a reader may take from resolving to the end of reading; an export may take 3000 s."""

CHUNK: Final = 500
"""Most generations in one statement: in a URL they stay far below the servers' limit of 1 MiB."""


@dataclass(frozen=True, slots=True)
class GarbageCollectionResult:
    """How many generations and rows one run removed, or with a dry run would remove.

    Attributes:
        expired: superseded generations that this run recorded as removed.
        removed: generations recorded by an earlier run, whose rows this run deleted.
        orphans: never published generations whose rows this run deleted.
        rows: deleted rows, over all tables.
        archived: publications of removed generations that this run moved out of ``publications``; the archive has them.
    """

    expired: int
    removed: int
    orphans: int
    rows: int
    archived: int = 0


@dataclass(frozen=True, slots=True)
class _Remains:
    """Rows of one generation in one partition of one table that may be deleted."""

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
    daily_days: int | None = None,
    dry_run: bool = False,
) -> GarbageCollectionResult:
    """Record expired generations as removed, and delete from `tables` the rows of those recorded earlier and of orphans.

    Args:
        client: clickhouse_connect client of the warehouse.
        tables: every table with rows of generations.
        now: instant of this run, with a time zone.
        retention_days: number of days (0 or more) before the UTC day of `now` whose final state stays readable.
        live_generations: unpublished generations that may still be loading; they are never orphans. An orphan is also older than a
            generation that was published an hour ago, so an attempt that began after this list was made is safe.
        daily_days: of these days, the final state of those further back than this stays readable only if the day ends a week (Sunday) or
            a month; None: of all.
        dry_run: count only, change nothing.
    """
    values = {
        "now": now.astimezone(UTC),
        "retention_days": retention_days,
        "daily_days": retention_days if daily_days is None else daily_days,
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
    archived = _archive(client, values, dry_run=dry_run)
    return GarbageCollectionResult(
        expired=expired,
        removed=len({one.generation for one in remains if one.was_published}),
        orphans=len({one.generation for one in remains if not one.was_published}),
        rows=sum(one.rows for one in remains),
        archived=archived,
    )


def _archive(client: Client, values: dict[str, Any], *, dry_run: bool) -> int:
    """Move the publications of generations whose rows are gone into the archive; return how many left ``publications``.

    ``removed_generations`` follows, as the archive says the same. A run that dies in between leaves rows in both, and the next goes on.
    """
    if not dry_run:
        clickhouse.run(client, sql_files.read("clickhouse", "store", "archive_publications.sql"), values)
    published, recorded = (
        [
            _Remains(table, **row)
            for row in clickhouse.rows(client, "archived_generations.sql", {**values, "table": table})
        ]
        for table in ("publications", "removed_generations")
    )
    if not dry_run:
        _remove(client, published)
        _remove(client, recorded)
    return len(published)


def _remains(client: Client, table: str, values: dict[str, Any]) -> Iterable[_Remains]:
    return (_Remains(table, **row) for row in clickhouse.rows(client, "remains.sql", {**values, "table": table}))


def _remove(client: Client, remains: Iterable[_Remains]) -> None:
    """Delete rows permanently, with one statement per table and partition (more above `CHUNK` generations).

    This does not drop whole partitions, although that is cheaper: it would also delete rows that a collector adds meanwhile.
    """
    groups = defaultdict[tuple[str, str], list[_Remains]](list)
    for one in remains:
        groups[one.table, one.partition].append(one)
    for (table, partition), members in sorted(groups.items()):
        for at in range(0, len(members), CHUNK):
            chunk = members[at : at + CHUNK]
            values = {
                "table": table,
                "partition": partition,
                "customers": sorted({one.customer_id for one in chunk}),
                "generations": sorted({one.generation for one in chunk}),
            }
            clickhouse.run(client, sql_files.read("clickhouse", "store", "remove_rows.sql"), values, mutations_sync=2)


def remove_attempts(
    client: Client, tables: Sequence[str], slice_: Mapping[str, Any], generations: Collection[int], most: int
) -> None:
    """Remove the rows of attempts at a slice that ended without being published, if they left more than `most` line items.

    Args:
        client: clickhouse_connect client of the warehouse.
        tables: every table with rows of generations, ``raw_costs`` last.
        slice_: the columns that identify it. The caller holds its lock.
        generations: the attempts, at most `CHUNK`.
        most: line items that may stay until the next garbage collection.
    """
    values = {**slice_, "generations": list(generations)}

    def left(table: str) -> list[_Remains]:
        return [_Remains(table, **row) for row in clickhouse.rows(client, "attempts.sql", {**values, "table": table})]

    if generations and sum(one.rows for one in left(tables[-1])) > most:
        _remove(client, [one for table in tables for one in left(table)])


def delete(client: Client, tables: Sequence[str], customers: list[str], generations: list[int]) -> None:
    """Delete the rows of generations from `tables`, in this order, with lightweight deletes; merges remove them later."""
    values = {"customers": customers, "generations": generations}
    found = clickhouse.rows(client, "partitions_of_generations.sql", {**values, "tables": clickhouse.matching(tables)})
    for one in sorted(found, key=lambda one: tables.index(one["table"])):
        clickhouse.run(client, sql_files.read("clickhouse", "store", "delete_rows.sql"), {**values, **one})
