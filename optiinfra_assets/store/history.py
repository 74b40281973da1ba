"""The history of collections: one row for each slice of each task, from queued to ended, never removed."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Literal

from optiinfra_assets.model import BillingPeriod, Slice
from optiinfra_assets.store.postgres import Database, Row

Trigger = Literal["schedule", "backfill", "api", "cli", "ui", "retry"]
Status = Literal["queued", "running", "retrying", "succeeded", "unchanged", "failed", "canceled"]
Ended = Literal["succeeded", "unchanged", "failed", "canceled"]


@dataclass(frozen=True, slots=True)
class CollectionRecord:
    """One slice of one collection task. Times are UTC.

    Attributes:
        id: grows with every row; pages are cut by it.
        task_id: everything one trigger asked for.
        run_id: the Dagster run, None before it is known.
        attempt: 1, then one more for each retry.
        generation: the published generation, None if none was.
        rows: line items collected, None if the collection did not end well.
        requests: requests made to the provider, over all attempts.
        request_cost: what the provider charges for them, in USD.
        error: one line, None unless it failed or is being retried.
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
    error: str | None

    @property
    def is_open(self) -> bool:
        """Not ended yet."""
        return self.ended_at is None


class History(Database):
    """The part of `Metadata` on the history of collections."""

    def queue_collections(
        self, task_id: str, trigger: Trigger, slices: Iterable[Slice], run_id: str | None = None
    ) -> None:
        """Store that a task asked for `slices`; those it has already stay as they are."""
        values = [{**_key(task_id, one), "trigger": trigger, "run_id": run_id} for one in slices]
        self._many("queue_collection.sql", values)

    def assign_run(self, task_id: str, slices: Iterable[Slice], run_id: str) -> None:
        """Store which run will collect `slices` of a task."""
        self._many("assign_run.sql", [{**_key(task_id, one), "run_id": run_id} for one in slices])

    def start_collection(self, task_id: str, trigger: Trigger, slice_: Slice, run_id: str) -> int:
        """Store that a slice is being collected now, whether or not it was queued; a retry counts as one attempt more.

        Returns:
            The id of its row, for `retry_collection` and `finish_collection`.
        """
        (row,) = self._rows(
            "start_collection.sql", {**_key(task_id, slice_), "trigger": trigger, "run_id": run_id}
        )
        return int(row["id"])

    def retry_collection(
        self, id_: int, error: str, *, requests: int = 0, request_cost: Decimal = Decimal(0)
    ) -> None:
        """Store that an attempt failed with `error` (one line) and will be repeated; `requests` are those of this attempt."""
        values = {"id": id_, "error": error, "requests": requests, "request_cost": request_cost}
        self._rows("retry_collection.sql", values)

    def finish_collection(
        self,
        id_: int,
        status: Ended,
        *,
        generation: int | None = None,
        rows: int | None = None,
        requests: int = 0,
        request_cost: Decimal = Decimal(0),
        error: str | None = None,
    ) -> None:
        """Store how a collection ended; `requests` and their cost in USD are those of this attempt."""
        values = {"id": id_, "status": status, "generation": generation, "rows": rows, "error": error}
        self._rows("finish_collection.sql", {**values, "requests": requests, "request_cost": request_cost})

    def open_runs(self) -> list[str]:
        """Ids of runs with rows that have not ended."""
        return [row["run_id"] for row in self._rows("open_runs.sql")]

    def close_collections(
        self,
        status: Literal["failed", "canceled"],
        error: str | None,
        *,
        run_ids: Sequence[str] = (),
        task_id: str | None = None,
        customer_id: str | None = None,
    ) -> int:
        """End the open rows of dead runs, or of a whole task, or of a task and customer; returns how many there were."""
        values = {"status": status, "error": error, "run_ids": list(run_ids), "task_id": task_id}
        values["customer_id"] = customer_id
        return len(self._rows("close_collections.sql", values))

    def history(
        self,
        *,
        first: int = 50,
        before: int | None = None,
        customer_id: str | None = None,
        provider: str | None = None,
        account_id: str | None = None,
        billing_period: BillingPeriod | None = None,
        task_id: str | None = None,
        status: Status | None = None,
    ) -> list[CollectionRecord]:
        """At most `first` rows, newest first, with an id below `before`; each filter that is given must match."""
        values = {
            "first": first,
            "before": before,
            "customer_id": customer_id,
            "provider": provider,
            "account_id": account_id,
            "billing_period": str(billing_period) if billing_period else None,
            "task_id": task_id,
            "status": status,
        }
        return [record(row) for row in self._rows("history.sql", values)]


def _key(task_id: str, slice_: Slice) -> Row:
    return {
        "task_id": task_id,
        "customer_id": slice_.customer_id,
        "provider": slice_.provider,
        "account_id": slice_.account_id,
        "billing_period": str(slice_.billing_period),
    }


def record(row: Row) -> CollectionRecord:
    """From a row of ``history.sql`` or ``open_collections.sql``."""
    period = BillingPeriod.parse(row.pop("billing_period"))
    slice_ = Slice(row.pop("customer_id"), row.pop("provider"), row.pop("account_id"), period)
    return CollectionRecord(slice=slice_, **row)
