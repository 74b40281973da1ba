"""Events: changes of the status of collections, in an order in which a reader can resume. PostgreSQL writes them itself."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.domain.accounts import Slice
from optiinfra_assets.metadata.collections import Status, Trigger
from optiinfra_assets.metadata.slices import pop_slice

EventPosition = tuple[int, int]
"""The cursor of a reader: transaction id and number of the last event it has seen."""


@dataclass(frozen=True, slots=True)
class CollectionEvent:
    """The new status of the collection of one slice. `at` is UTC; the other fields are those of `CollectionRecord` at that moment."""

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
    """Reads and removes events."""

    def position_now(self) -> EventPosition:
        """Return the position after all events so far."""
        (row,) = self._database.rows("collection_events_now.sql")
        return row["xid"], row["id"]

    def position_since(self, customer_id: str, since: datetime) -> EventPosition | None:
        """Return the position before the first event of a customer at or after the UTC instant `since`; None if there is none yet."""
        row = self._database.row("collection_events_since.sql", {"customer_id": customer_id, "since": since})
        return None if row is None else (row["xid"], row["id"] - 1)

    def after(
        self, customer_id: str, after: EventPosition, *, first: int = 100, task_id: str | None = None
    ) -> list[CollectionEvent]:
        """Return at most `first` events of a customer after the position `after`, in order; only of one task if `task_id` is given.

        No later call returns an event with a position before one that was already returned.
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
        """Remove events older than a UTC instant; return how many there were."""
        return len(self._database.rows("forget_events.sql", {"before": before}))
