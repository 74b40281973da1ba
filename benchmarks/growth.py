"""How much the platform keeps: ``python -m benchmarks.growth``, thirty days of ticks of 200 accounts in fast motion.

The clock is handed in. Each tick is evaluated as the schedule does it, on a real PostgreSQL with Dagster's own tables. One collection runs
for real; the others are copies of what it left in Dagster's tables, under the ids and times of their own, because 12,000 runs would take
hours. Every simulated night runs the maintenance of the platform. Prints the sizes by table at a third, two thirds and the end: with
retention they come to a stand, because a day adds as much as it removes.
"""

from __future__ import annotations

import argparse
import os
import time
import uuid
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import dagster as dg
import psycopg
from pydantic import BaseModel

from benchmarks.engines import stores
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.ingestion.change_detection import find_due
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.orchestration.dagster_retention import purge_runs
from optiinfra_assets.providers.base import Capabilities, LineItemStream, Probe, Provider
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.settings import Settings, project_file

TICK = timedelta(minutes=15)
TICKS = 96


class NoCredential(BaseModel):
    """No field is needed."""


class Restated(Provider):
    """Tells for each account as many changes a day as it is given, spread over the day; `now` is the simulated instant."""

    name: ClassVar[str] = "focus"
    title: ClassVar[str] = "A source that is restated"
    credential_model: ClassVar[type[BaseModel]] = NoCredential
    capabilities: ClassVar[Capabilities] = Capabilities("day", None)

    def __init__(self, changes: int, now: datetime) -> None:
        self.now = now
        self._every = 86400 // changes

    def discover(self, account: Account) -> list[str]:
        raise NotImplementedError

    def probe(self, account: Account, since: Mapping[BillingPeriod, str], context: ProviderContext) -> Probe:
        shifted = self.now.timestamp() + int(account.account_id.rpartition("a")[2]) * 997
        return Probe({BillingPeriod.of(self.now): str(int(shifted // self._every))})

    def collect(self, account: Account, billing_period: BillingPeriod, context: ProviderContext) -> LineItemStream:
        raise NotImplementedError


def template_run(instance: dg.DagsterInstance) -> str:
    """Run one asset with the events of a collection: 8 assets of one partition, and their checks."""
    partitions = dg.DynamicPartitionsDefinition(name="growth")
    specs = [dg.AssetSpec(["growth", str(number)], skippable=True) for number in range(8)]

    @dg.multi_asset(specs=specs, partitions_def=partitions)
    def collect(context):  # type: ignore[no-untyped-def] # Dagster accepts no annotation of a local name here
        for spec in specs:
            yield dg.AssetMaterialization(
                spec.key, partition=context.partition_key, metadata={"rows": 1, "note": "x" * 400}
            )

    instance.add_dynamic_partitions("growth", ["template"])
    result = dg.materialize([collect], instance=instance, partition_key="template")
    assert result.success
    return result.run_id


def copied(connection: psycopg.Connection[object], template: str, runs: Sequence[tuple[str, str, datetime]]) -> None:
    """Copy what a run left in Dagster's tables: (run id, partition, UTC instant) of each copy."""
    for table in ("runs", "run_tags", "event_logs"):
        names = connection.execute(
            "SELECT string_agg(quote_ident(column_name), ',') FROM information_schema.columns "
            f"WHERE table_name = '{table}' AND table_schema = 'public' AND column_name <> 'id'"
        ).fetchone()
        values = [_copy(name.strip('"')) for name in str(names[0]).split(",")]  # type: ignore[index]
        statement = (
            f"INSERT INTO {table} ({names[0]}) SELECT {', '.join(values)} "  # type: ignore[index]
            f"FROM {table} AS one WHERE one.run_id = %(template)s::varchar ORDER BY one.id"
        )
        connection.cursor().executemany(
            statement.encode(),
            [
                {"template": template, "run": run_id, "partition": partition, "at": at.replace(tzinfo=None)}
                for run_id, partition, at in runs
            ],
        )


def _copy(column: str) -> str:
    if column == "run_id":
        return "%(run)s::varchar"
    if column in ("run_body", "event"):
        renamed = f"replace({column}, %(template)s::varchar, %(run)s::varchar)"
        return f"replace({renamed}, '\"template\"', '\"' || %(partition)s::varchar || '\"')"
    if column == "partition":
        return "CASE WHEN partition IS NULL THEN NULL ELSE %(partition)s::varchar END"
    if column in ("create_timestamp", "update_timestamp", "timestamp"):
        return "%(at)s::timestamp"
    if column in ("start_time", "end_time"):
        return "extract(epoch FROM %(at)s::timestamp)"
    return f'one."{column}"'


def day(metadata: Metadata, source: Restated, begin: datetime) -> list[tuple[str, str, datetime]]:
    """Evaluate the ticks of one day; return the runs that they asked for, all of which go well."""
    runs = []
    for number in range(TICKS):
        now = source.now = begin + number * TICK
        task = f"schedule-{now:%Y%m%dT%H%M%SZ}"
        providers = {source.name: source}
        tick = find_due(metadata, providers, now=now, task_id=task, trigger="schedule", max_runs=1000, budget=60)
        for request in tick.requests:
            run_id, (scope,) = str(uuid.uuid4()), request.scopes
            for slice_ in scope.slices:
                ended(metadata, task, slice_, run_id, now)
            runs.append((run_id, f"{scope.account_id}|{scope.last}", now))
    return runs


def ended(metadata: Metadata, task: str, slice_: Slice, run_id: str, now: datetime) -> None:
    """What a collection leaves in our own tables."""
    row = metadata.collections.start(task, "schedule", slice_, run_id)
    generation = metadata.slices.start_generation(slice_, run_id)
    metadata.slices.finish_generation(generation, "published")
    token = next(
        state.seen_token for state in metadata.slices.states(account_id=slice_.account_id) if state.slice == slice_
    )
    metadata.slices.record_collection(slice_, str(token), now, generation=generation, published_at=now)
    metadata.collections.finish(row, "succeeded", generation=generation, rows=1, requests=1)


def aged(connection: psycopg.Connection[object], now: datetime) -> None:
    """PostgreSQL dates these rows by its own clock; move those of the day to the simulated one."""
    for table, columns in (
        ("collection_history", ("queued_at", "started_at", "ended_at")),
        ("generations", ("started_at",)),
        ("collection_events", ("at",)),
    ):
        moved = ", ".join(f"{column} = %(now)s" for column in columns)
        real = datetime.now(UTC) - timedelta(hours=1)
        statement = f"UPDATE optiinfra.{table} SET {moved} WHERE {columns[0]} > %(real)s"
        connection.execute(statement.encode(), {"now": now, "real": real})


def sizes(connection: psycopg.Connection[object]) -> dict[str, int]:
    """Bytes of each table with its indexes, of all that have more than 100 kB."""
    rows = connection.execute(
        "SELECT schemaname || '.' || relname, pg_total_relation_size(relid) FROM pg_stat_user_tables"
    ).fetchall()
    return {str(name): int(size) for name, size in rows if size > 100_000}  # type: ignore[misc]


def grow(settings: Settings, metadata: Metadata, instance: dg.DagsterInstance, asked: argparse.Namespace) -> None:
    """Simulate the days, and print the sizes three times."""
    begin = datetime(2024, 1, 1, tzinfo=UTC)
    source = Restated(asked.changes, begin)
    metadata.customers.add("growth")
    for number in range(asked.accounts):
        metadata.accounts.add(Account(f"growth.a{number}", "growth", source.name))
    template = template_run(instance)
    shown: list[dict[str, int]] = []
    with psycopg.connect(str(settings.postgres_url), autocommit=True) as connection:
        for number in range(1, asked.days + 1):
            now = begin + timedelta(days=number)
            runs = day(metadata, source, now - timedelta(days=1))
            copied(connection, template, runs)
            aged(connection, now - timedelta(hours=12))
            forgotten = metadata.retention.forget(
                now - timedelta(days=asked.keep), now, datetime(1990, 1, 1, tzinfo=UTC)
            )
            purged = purge_runs(instance, now - timedelta(days=asked.keep), 600)
            metadata.events.forget(now - timedelta(days=asked.keep))
            print(
                f"day {number}: {len(runs)} runs; removed {purged.removed} runs, {forgotten.collections} collections",
                flush=True,
            )
            if number * 3 % asked.days < 3 and number * 3 >= asked.days * (len(shown) + 1):
                connection.execute(b"VACUUM ANALYZE")
                shown.append(sizes(connection))
    for name in sorted({name for one in shown for name in one}):
        print(f"{name:45s}", *(f"{one.get(name, 0) / 1e6:10.1f} MB" for one in shown))
    print(f"{'all':45s}", *(f"{sum(one.values()) / 1e6:10.1f} MB" for one in shown))


def main() -> None:
    """Run it on fresh databases, and remove them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--accounts", type=int, default=200)
    parser.add_argument("--days", type=int, default=30)
    parser.add_argument("--changes", type=int, default=2, help="changes of each account a day")
    parser.add_argument("--keep", type=int, default=7, help="days for which history and Dagster runs are kept")
    asked = parser.parse_args()
    begun = time.perf_counter()
    with stores() as (settings, _, metadata):
        os.environ["OPTIINFRA_POSTGRES_URL"] = str(settings.postgres_url)
        home = Path(settings.home) / "dagster"
        home.mkdir(parents=True)
        (home / "dagster.yaml").write_text(project_file("dagster.yaml").read_text())
        with dg.DagsterInstance.from_config(str(home)) as instance:
            grow(settings, metadata, instance, asked)
    print(f"{time.perf_counter() - begun:.0f} s")


if __name__ == "__main__":
    main()
