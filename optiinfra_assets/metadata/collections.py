"""The history of collections: one row for each slice of each task, from queued to ended; retention removes them by age."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Final, Literal

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Repository, Row
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.source_warnings import SourceWarning
from optiinfra_assets.metadata.slices import key, pop_slice

Trigger = Literal["schedule", "backfill", "api", "cli", "ui", "retry"]
Status = Literal["queued", "running", "retrying", "succeeded", "unchanged", "failed", "canceled"]
Ended = Literal["succeeded", "unchanged", "failed", "canceled"]

NO_FILTERS: Final[Row] = {"is_open": False} | dict.fromkeys(
    ("first", "before", "customer_id", "provider", "account_id", "billing_period", "task_id", "status")
)
"""The parameters with which ``history.sql`` returns every row."""


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """One slice of one collection task. Times are UTC.

    Attributes:
        id: increases with every row; the cursor of pages.
        task_id: the task: everything that one trigger requested.
        run_id: the Dagster run, None before it is known.
        attempt: 1, then one more for each retry.
        generation: the published generation, None if it published none.
        rows: number of line items collected, None if the collection did not succeed.
        requests: number of requests made to the provider, over all attempts.
        request_cost: what the provider charges for them, in USD.
        accept_empty: a person confirmed that an empty source means no line items.
        error: one line, None unless the collection failed, was canceled or is being retried.
        warnings: what a successful collection lacked, skipped or read leniently.
    """

    id: int
    task_id: str
    trigger: Trigger
    slice: Slice
    run_id: str | None
    queued_at: datetime
    started_at: datetime | None
    ended_at: datetime | None
    status: Status
    attempt: int
    generation: int | None
    rows: int | None
    requests: int
    request_cost: Decimal
    accept_empty: bool
    error: str | None
    warnings: tuple[SourceWarning, ...] = ()

    @property
    def is_open(self) -> bool:
        """Whether the collection has not ended yet."""
        return self.ended_at is None


State = Literal["queued", "running", "retrying", "succeeded", "failed", "canceled"]


@dataclass(frozen=True, slots=True)
class CollectionTask:
    """Everything that one trigger requested; newest billing periods first."""

    task_id: str
    slices: tuple[Slice, ...]


@dataclass(frozen=True, slots=True)
class TaskStatus:
    """The status of a task.

    Attributes:
        state: ``failed`` if any slice failed and none is left to do; ``succeeded`` also if nothing had changed.
        slices: one row each, in the order they were queued.
        done: number of slices that have ended.
        error: the first error of a slice, None if there is none.
    """

    task_id: str
    state: State
    slices: tuple[CollectionRecord, ...]
    done: int
    error: str | None


class CollectionRepository(Repository):
    """Reads and writes the history of collections."""

    def queue(
        self,
        task_id: str,
        trigger: Trigger,
        slices: Iterable[Slice],
        run_id: str | None = None,
        *,
        accept_empty: bool = False,
    ) -> None:
        """Store that a task requests `slices`; rows that the task already has do not change."""
        wanted: Row = {"trigger": trigger, "run_id": run_id, "accept_empty": accept_empty}
        values = [{**_key(task_id, one), **wanted} for one in slices]
        self._database.many("queue_collection.sql", values)

    def assign_run(self, task_id: str, slices: Iterable[Slice], run_id: str) -> None:
        """Store which run will collect `slices` of a task. Those that another run had begun are queued again."""
        values = [{**_key(task_id, one), "run_id": run_id} for one in slices]
        self._database.many("requeue_collection.sql", values)
        self._database.many("assign_run.sql", values)

    def start(self, task_id: str, trigger: Trigger, slice_: Slice, run_id: str) -> int:
        """Store that a slice is being collected now, queued or not; a retry adds an attempt. Rows ended or of another run do not change.

        Returns:
            The id of its row, for `retry` and `finish`.
        """
        (row,) = self._database.rows(
            "start_collection.sql", {**_key(task_id, slice_), "trigger": trigger, "run_id": run_id}
        )
        return int(row["id"])

    def retry(self, id_: int, error: str, *, requests: int = 0, request_cost: Decimal = Decimal(0)) -> None:
        """Store that an attempt failed with `error` (one line) and will be retried; `requests` and their cost (USD) are this attempt's."""
        values = {"id": id_, "error": error, "requests": requests, "request_cost": request_cost}
        self._database.rows("retry_collection.sql", values)

    def finish(
        self,
        id_: int,
        status: Ended,
        *,
        generation: int | None = None,
        rows: int | None = None,
        requests: int = 0,
        request_cost: Decimal = Decimal(0),
        error: str | None = None,
        warnings: Sequence[SourceWarning] = (),
    ) -> None:
        """Store how a collection ended; `requests` and their cost (USD) are this attempt's."""
        values = {
            "id": id_,
            "status": status,
            "generation": generation,
            "rows": rows,
            "error": error,
            "requests": requests,
            "request_cost": request_cost,
            "warnings": json.dumps([one.values() for one in warnings]),
        }
        self._database.rows("finish_collection.sql", values)

    def close(
        self,
        status: Literal["failed", "canceled"],
        error: str | None,
        *,
        task_id: str,
        customer_id: str | None = None,
    ) -> int:
        """End the open rows of a task, or of a task and customer; return how many there were."""
        values = {"status": status, "error": error, "task_id": task_id, "customer_id": customer_id}
        return len(self._database.rows("close_collections.sql", values))

    def history(
        self,
        *,
        first: int | None = 50,
        before: int | None = None,
        customer_id: str | None = None,
        provider: str | None = None,
        account_id: str | None = None,
        billing_period: BillingPeriod | None = None,
        task_id: str | None = None,
        status: Status | None = None,
    ) -> list[CollectionRecord]:
        """Return at most `first` rows (None: all), newest first, with an id below `before`; they match every given filter."""
        values = {
            **NO_FILTERS,
            "first": first,
            "before": before,
            "customer_id": customer_id,
            "provider": provider,
            "account_id": account_id,
            "billing_period": str(billing_period) if billing_period else None,
            "task_id": task_id,
            "status": status,
        }
        return [record(row) for row in self._database.rows("history.sql", values)]

    @contextmanager
    def requesting(self, customer_id: str | None) -> Iterator[list[OpenRequest]]:
        """Yield the open requests of a customer (None: of all), oldest first; nobody else queues a request until the context ends."""
        with self._database.transaction():
            self._database.rows("lock_requests.sql")
            # A separate statement: only one that begins after the lock is held sees what others have just queued.
            found = [OpenRequest(slice=pop_slice(row), **row) for row in self._database.rows("open_requests.sql")]
            yield [one for one in found if customer_id in (None, one.slice.customer_id)]

    def task_status(self, task_id: str, customer_id: str | None = None) -> TaskStatus:
        """Return the status of a task, of one customer's slices if `customer_id` is given.

        Raises:
            RecordNotFound: there is no such task, or nothing of it concerns the customer.
        """
        rows = self.history(task_id=task_id, customer_id=customer_id, first=None)[::-1]
        if not rows:
            raise RecordNotFound(f"task: {task_id!r} does not exist")
        return TaskStatus(
            task_id=task_id,
            state=_state(rows),
            slices=tuple(rows),
            done=sum(not row.is_open for row in rows),
            error=next((row.error for row in rows if row.error), None),
        )


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """One slice that a person asked for and that has not ended.

    Attributes:
        is_current: its collection reads, or read, what the last probe saw.
    """

    task_id: str
    slice: Slice
    accept_empty: bool
    is_current: bool


def _key(task_id: str, slice_: Slice) -> Row:
    owner = {"customer_id": slice_.customer_id, "provider": slice_.provider}
    return {"task_id": task_id, **owner, **key(slice_)}


def record(row: Row) -> CollectionRecord:
    """Build a record from a row of ``history.sql``."""
    warnings = tuple(SourceWarning.of(one) for one in row.pop("warnings"))
    return CollectionRecord(slice=pop_slice(row), warnings=warnings, **row)


def _state(rows: Sequence[CollectionRecord]) -> State:
    states = {row.status for row in rows}
    if "running" in states or ("queued" in states and len(states) > 1):
        return "running"
    order: tuple[State, ...] = ("retrying", "queued", "failed", "canceled")
    return next((state for state in order if state in states), "succeeded")
