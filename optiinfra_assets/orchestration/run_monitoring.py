"""Compare open collections with their Dagster runs: close the rows of runs that died, and request runs that were never launched.

A run that dies (kill -9, power cut) cannot close its history rows. Dagster detects that it died; this module then closes its rows, so that
the next tick finds the slices due again. If Dagster relaunches the run by itself, the rows stay open for the new run.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

import dagster as dg

from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.domain.failures import AFTER_UNEXPECTED, Fault
from optiinfra_assets.domain.freshness import elapsed
from optiinfra_assets.domain.run_scope import PARTITION_TAG, SLICES, TASK_TAG, CollectionRunRequest, run_scopes
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.collections import CollectionRecord
from optiinfra_assets.orchestration.partitions import parse

LAUNCH_TIME: Final = timedelta(seconds=60)
"""Longest time from a queued row to its run, and from one run of a task to the next, for the API and the command line: one request to the
webserver at most."""

TICK_TIME: Final = timedelta(minutes=5)
"""The same if a schedule or a sensor triggered it: the daemon launches the runs one after another once the evaluation has ended, 1.5 a
second when it is busy."""

RELAUNCH_TIME: Final = timedelta(minutes=5)
"""How long a failed run that Dagster will retry may take to be relaunched. Dagster looks for such runs every 30 s."""


ASKED_FOR: Final = timedelta(minutes=30)
"""How long after it was queued a slice whose runs Dagster did not take is requested again; then its row ends as failed."""


@dataclass(slots=True)
class MonitoredRuns:
    """How many rows were closed, and which runs to request because they are missing."""

    closed: int = 0
    requests: list[CollectionRunRequest] = field(default_factory=list)


def monitor_runs(metadata: Metadata, instance: dg.DagsterInstance, now: datetime) -> MonitoredRuns:
    """Close rows whose run has ended, assign their runs to queued rows, and return requests for rows without a run (`now` is UTC)."""
    followed = MonitoredRuns()
    rows = metadata.work_queue.open_collections()
    runs = _Runs(instance, rows)
    lost: list[CollectionRecord] = []
    for row in rows:
        record = runs.of(row)
        if _is_missing(row, record, now):
            if runs.is_lost(row, now):
                lost.append(row)
        elif record is None or _is_over(record, now):
            _close(metadata, row, record, now)
            followed.closed += 1
        elif record.dagster_run.is_finished:
            if row.status == "running":
                metadata.collections.retry(row.id, "its worker died: Dagster starts the run again")
        elif row.run_id != record.dagster_run.run_id:
            metadata.collections.assign_run(row.task_id, [row.slice], record.dagster_run.run_id)
    followed.requests = list(_requests(lost, runs))
    return followed


def _is_missing(row: CollectionRecord, record: dg.RunRecord | None, now: datetime) -> bool:
    """Whether a row has no run yet, or Dagster did not take it: its run is gone, or failed before it began, soon after the row."""
    if record is None and row.run_id is None:
        return True
    if row.started_at is not None or elapsed(row.queued_at, now) > ASKED_FOR:
        return False
    return record is None or (record.dagster_run.status is dg.DagsterRunStatus.FAILURE and _is_over(record, now))


def _requests(rows: Sequence[CollectionRecord], runs: _Runs) -> Iterator[CollectionRunRequest]:
    """Yield requests for rows. Their keys count the runs that the task has had: Dagster makes one run for each key, ever."""
    owners: dict[tuple[str, str, bool], list[Slice]] = {}
    for row in rows:
        owners.setdefault((row.task_id, row.trigger, row.accept_empty), []).append(row.slice)
    for (task_id, trigger, accept_empty), slices in owners.items():
        for scope in run_scopes(slices):
            key = f"{task_id}/{scope}/again/{runs.count(task_id)}"
            yield CollectionRunRequest.of((scope,), key, task_id, trigger, accept_empty=accept_empty)


def _is_over(record: dg.RunRecord, now: datetime) -> bool:
    run = record.dagster_run
    if not run.is_finished:
        return False
    will_retry = run.tags.get("dagster/will_retry") == "true"
    if not will_retry or not record.end_time:
        return True
    return elapsed(datetime.fromtimestamp(record.end_time, UTC), now) >= RELAUNCH_TIME


def _close(metadata: Metadata, row: CollectionRecord, record: dg.RunRecord | None, now: datetime) -> None:
    if record and record.dagster_run.status is dg.DagsterRunStatus.CANCELED:
        metadata.collections.finish(row.id, "canceled", error="the run was canceled")
        return
    end = "is gone" if record is None else "ended"
    error = f"the run {end} before this slice was collected"
    metadata.collections.finish(row.id, "failed", error=f"{error}: it is due again")
    metadata.failures.record(row.slice, error, Fault.PLATFORM, now, AFTER_UNEXPECTED)


class _Runs:
    """Finds the newest run of each open row: by task and partition before it begins, then by run id or the id of the relaunched run."""

    def __init__(self, instance: dg.DagsterInstance, rows: Iterable[CollectionRecord]) -> None:
        rows = list(rows)
        self._by_id = _by_id(instance, {row.run_id for row in rows if row.run_id})
        again = {run.dagster_run.tags.get("dagster/auto_retry_run_id") for run in self._by_id.values()}
        self._by_id |= _by_id(instance, {run_id for run_id in again if run_id})
        self._by_slice: dict[tuple[str, str, str], dg.RunRecord] = {}
        self._last_launch: dict[str, datetime] = {}
        self._counts: Counter[str] = Counter()
        tasks = {row.task_id for row in rows if row.started_at is None}
        if tasks:
            # Dagster returns the newest first; in reverse, the newest run of a slice is stored last and stays.
            for record in reversed(instance.get_run_records(dg.RunsFilter(tags={TASK_TAG: sorted(tasks)}))):
                self._add(record)

    def _add(self, record: dg.RunRecord) -> None:
        tags = record.dagster_run.tags
        self._last_launch[tags[TASK_TAG]] = record.create_timestamp
        self._counts[tags[TASK_TAG]] += 1
        for account_id, period in _partitions(record.dagster_run):
            self._by_slice[(tags[TASK_TAG], account_id, period)] = record

    def count(self, task_id: str) -> int:
        """How many runs a task with rows that have not begun has had."""
        return self._counts[task_id]

    def of(self, row: CollectionRecord) -> dg.RunRecord | None:
        if row.started_at is None:
            newest = self._by_slice.get((row.task_id, row.slice.account_id, str(row.slice.billing_period)))
            if newest or row.run_id is None:
                return newest
        record = self._by_id.get(row.run_id or "")
        again = record.dagster_run.tags.get("dagster/auto_retry_run_id") if record else None
        return self._by_id.get(again, record) if again else record

    def is_lost(self, row: CollectionRecord, now: datetime) -> bool:
        """Whether the run of a row without one is lost: the row was queued, and the last run of its task created, too long ago.

        If that run comes after another was requested, it does no harm: only one run collects each row.
        """
        since = max(row.queued_at, self._last_launch.get(row.task_id, row.queued_at))
        return elapsed(since, now) > (LAUNCH_TIME if row.trigger in ("api", "cli") else TICK_TIME)


def _by_id(instance: dg.DagsterInstance, run_ids: set[str]) -> dict[str, dg.RunRecord]:
    if not run_ids:
        return {}
    records = instance.get_run_records(dg.RunsFilter(run_ids=sorted(run_ids)))
    return {record.dagster_run.run_id: record for record in records}


def _partitions(run: dg.DagsterRun) -> Iterable[tuple[str, str]]:
    """Yield account id and billing period of each partition of a run that we requested: those in its configuration, or in its tag."""
    steps: Mapping[str, Any] = run.run_config.get("ops", {})  # type: ignore[assignment]
    keys = [key for step in steps.values() for key in step.get("config", {}).get(SLICES, ())]
    for key in keys or filter(None, [run.tags.get(PARTITION_TAG)]):
        account_id, period = parse(key)
        yield account_id, str(period)
