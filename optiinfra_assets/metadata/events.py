"""Changes in how collections stand, in an order that a reader can follow from where it stopped. PostgreSQL writes them itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.metadata.collections import Status, Trigger
from optiinfra_assets.metadata.slices import pop_slice

EventPosition = tuple[int, int]
"""Where a reader stands: transaction and number of the last event it has seen."""


@dataclass(frozen=True, slots=True)
class CollectionEvent:
    """A collection of one slice now stands so. `at` is UTC; the other fields are those of `CollectionRecord` at that moment."""

    place: EventPosition
    at: datetime
    collection_id: int
    task_id: str
    trigger: Trigger
    slice: Slice
    status: Status
    attempt: int
    generation: int | None
    rows: int | None
    error: str | None
    run_id: str | None


class EventRepository(Repository):
    """The part of `Metadata` on events."""

    def position_now(self) -> EventPosition:
        """The place after everything that happened so far."""
        (row,) = self._database.rows("collection_events_now.sql")
        return row["xid"], row["id"]

    def position_since(self, customer_id: str, since: datetime) -> EventPosition | None:
        """The place before the first event of a customer from a UTC instant on; None if there is none yet."""
        row = self._database.row("collection_events_since.sql", {"customer_id": customer_id, "since": since})
        return None if row is None else (row["xid"], row["id"] - 1)

    def after(
        self, customer_id: str, after: EventPosition, *, first: int = 100, task_id: str | None = None
    ) -> list[CollectionEvent]:
        """At most `first` events of a customer after a place, in order; `task_id`: only of that task.

        No event is ever found before one that was found already.
        """
        values = {
            "customer_id": customer_id,
            "after_xid": str(after[0]),
            "after_id": after[1],
            "first": first,
            "task_id": task_id,
        }
        events = []
        for row in self._database.rows("collection_events.sql", values):
            place = (row.pop("xid"), row.pop("id"))
            events.append(CollectionEvent(place=place, slice=pop_slice(row), **row))
        return events

    def forget(self, before: datetime) -> int:
        """Remove events older than a UTC instant; returns how many there were."""
        return len(self._database.rows("forget_events.sql", {"before": before}))
