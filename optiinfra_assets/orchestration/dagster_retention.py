"""Removes ended Dagster runs by age, with their events, checks and logs: a run leaves 85 KB, and Dagster keeps it for ever.

Deleting a run deletes its materializations too, and with the newest one of a slice Dagster would show the slice as never collected. So
runs that hold the newest materialization of an asset partition stay: one for each slice at most. Of a run of many slices those
materializations stay that are the newest. Runs that have not ended stay.
"""

from __future__ import annotations

import time
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import dagster as dg
from dagster._core.storage.dagster_run import FINISHED_STATUSES
from dagster._core.storage.event_log.schema import (
    AssetCheckExecutionsTable,
    AssetEventTagsTable,
    SqlEventLogStorageTable,
)
from dagster._core.storage.event_log.sql_event_log import SqlEventLogStorage
from dagster_postgres import PostgresEventLogStorage

BATCH: Final = 200
"""Runs that are looked at together."""

MATERIALIZATION: Final = dg.DagsterEventType.ASSET_MATERIALIZATION


@dataclass(slots=True)
class PurgedRuns:
    """How many runs were removed, how many older ones stay because lineage needs them, and whether time ran out before the end."""

    removed: int = 0
    kept: int = 0
    is_cut: bool = False


def purge_runs(instance: dg.DagsterInstance, before: datetime, seconds: float) -> PurgedRuns:
    """Remove runs that ended before the UTC instant `before`, the oldest first, for at most `seconds`; the next call goes on."""
    deadline = time.monotonic() + seconds
    purged, needed = PurgedRuns(), _newest_materializations(instance)
    for batch in _ended_runs(instance, before):
        made = {run_id: _materializations_of(instance, run_id) for run_id in batch}
        gone = [run_id for run_id, ids in made.items() if not ids & needed]
        _delete_materializations(instance, {id_ for ids in made.values() if ids & needed for id_ in ids - needed})
        for run_id in gone:
            instance.delete_run(run_id)
            instance.compute_log_manager.delete_logs(prefix=[run_id])
        _delete_checks(instance, gone)
        purged.removed += len(gone)
        purged.kept += len(batch) - len(gone)
        if time.monotonic() > deadline:
            purged.is_cut = True
            break
    return purged


def _ended_runs(instance: dg.DagsterInstance, before: datetime) -> Iterator[list[str]]:
    """Yield the ids of ended runs in batches, the oldest first. A cursor is the id of a run, so all are read before any is removed."""
    filters = dg.RunsFilter(statuses=list(FINISHED_STATUSES), updated_before=before)
    run_ids: list[str] = []
    while found := instance.get_run_ids(filters, limit=10_000, cursor=run_ids[-1] if run_ids else None):
        run_ids += found
    run_ids.reverse()
    for start in range(0, len(run_ids), BATCH):
        yield run_ids[start : start + BATCH]


def _newest_materializations(instance: dg.DagsterInstance) -> set[int]:
    """Return the storage ids of the newest materialization of every asset, and of every partition of it."""
    found: set[int] = set()
    for record in instance.get_asset_records():
        newest = record.asset_entry.last_materialization_storage_id
        found |= {newest} if newest is not None else set()
        key = record.asset_entry.asset_key
        found |= set(instance.event_log_storage.get_latest_storage_id_by_partition(key, MATERIALIZATION).values())
    return found


def _materializations_of(instance: dg.DagsterInstance, run_id: str) -> set[int]:
    records = instance.event_log_storage.get_records_for_run(run_id, of_type=MATERIALIZATION).records
    return {record.storage_id for record in records}


def _delete_checks(instance: dg.DagsterInstance, run_ids: Sequence[str]) -> None:
    """Delete the evaluations of checks of runs, which `delete_run` leaves behind."""
    storage = instance.event_log_storage
    if run_ids and isinstance(storage, SqlEventLogStorage):
        with storage.index_connection() as connection:
            chosen = AssetCheckExecutionsTable.c.run_id.in_(run_ids)
            connection.execute(AssetCheckExecutionsTable.delete().where(chosen))


def _delete_materializations(instance: dg.DagsterInstance, ids: Collection[int]) -> None:
    """Delete materializations: a run of a hundred slices would otherwise stay whole as long as one of these has not changed."""
    storage = instance.event_log_storage
    if ids and isinstance(storage, PostgresEventLogStorage):
        with storage.index_connection() as connection:
            connection.execute(AssetEventTagsTable.delete().where(AssetEventTagsTable.c.event_id.in_(ids)))
            connection.execute(SqlEventLogStorageTable.delete().where(SqlEventLogStorageTable.c.id.in_(ids)))
