"""The state of each slice (last probed, last collected), the attempts to build generations, and the lock that excludes a second one."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg

from optiinfra_assets.database import sql_files
from optiinfra_assets.database.errors import SliceBusy
from optiinfra_assets.database.postgres import Database, Repository, Row
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.freshness import Freshness

GONE = ""
"""Change token of a billing period that the source had and no longer has."""


@dataclass(frozen=True, slots=True)
class SliceState:
    """The state of one slice after its last probe and collection. Times are UTC, None before the first.

    Attributes:
        seen_token: change token of the last probe, `GONE` if the source no longer has the period, None if never probed.
        collected_token: change token that the last successful collection recorded, None before it.
        checked_at: when a collection last succeeded, also if it found nothing new.
        generation: the published generation that the collector recorded last; the warehouse is authoritative.
        line_items: their number at the last successful collection, None if unknown.
    """

    slice: Slice
    seen_token: str | None
    seen_at: datetime | None
    collected_token: str | None
    checked_at: datetime | None
    generation: int | None
    published_at: datetime | None
    line_items: int | None

    @property
    def is_due(self) -> bool:
        """Whether the source has a change that was not collected."""
        return self.seen_token is not None and self.seen_token != self.collected_token


class SliceLock:
    """A held lock on one slice; see `SliceLocks`.

    Attributes:
        session: the connection that holds it, for comparisons with that of other locks.
    """

    def __init__(self, slice_: Slice, connection: psycopg.Connection[Any]) -> None:
        self.session: object = connection
        self._slice = slice_
        self._connection = connection

    def check(self) -> None:
        """Return if the lock is still held; call this before a step that must not happen twice.

        Raises:
            SliceBusy: the connection that held the lock is gone, so another collector may hold it now.
        """
        try:
            self._connection.execute(b"SELECT 1")
        except psycopg.OperationalError:
            raise SliceBusy(
                f"{self._slice}: the lock was lost with its PostgreSQL connection: collect it again"
            ) from None

    def release(self) -> None:
        """End the lock; a lost connection has ended it already."""
        with suppress(psycopg.Error):
            self._connection.execute(_statement("unlock_slice.sql"), {"slice": str(self._slice)})


class SliceLocks:
    """Exclusive locks on slices, all held by one connection, so PostgreSQL releases them when this process ends in any way. Thread-safe.

    A lost connection loses the locks it held; the next lock opens another connection.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._open = threading.Lock()
        self._connections = ExitStack()
        self._connection: psycopg.Connection[Any] | None = None

    def __enter__(self) -> SliceLocks:
        return self

    def __exit__(self, *_: object) -> None:
        if self._connection is not None:
            # What a closed connection held is free only a moment later, and who asks at once would be refused.
            with suppress(psycopg.Error):
                self._connection.execute(b"SELECT pg_advisory_unlock_all()")
        self._connections.close()

    def acquire(self, slice_: Slice) -> SliceLock:
        """Lock a slice that this object has not locked yet.

        Raises:
            SliceBusy: another process holds it; this does not wait.
            MetadataUnavailable: PostgreSQL does not answer.
        """
        with self._open:
            if self._connection is None or self._connection.closed:
                self._connection = self._connections.enter_context(self._database.own_connection())
            connection = self._connection
        with self._database.errors():
            row = connection.execute(_statement("lock_slice.sql"), {"slice": str(slice_)}).fetchone()
        if row is None or row[0] is False:
            raise SliceBusy(f"{slice_}: another run is collecting it: wait for that one to end")
        return SliceLock(slice_, connection)


def _statement(name: str) -> bytes:
    return sql_files.read("postgres", "queries", name).encode()


class SliceRepository(Repository):
    """Reads and writes the state of slices and generations."""

    def record_probe(self, account_id: str, tokens: Mapping[BillingPeriod, str], at: datetime) -> int:
        """Store the tokens that a probe of an account saw at the UTC instant `at`; earlier periods missing in them become `GONE`.

        Returns:
            The number of billing periods whose token differs from the previous probe.
        """
        periods = [str(period) for period in tokens]
        values = {
            "account_id": account_id,
            "periods": periods,
            "tokens": list(tokens.values()),
            "gone": GONE,
            "at": at,
        }
        (row,) = self._database.rows("record_probe.sql", values)
        return int(row["changed"])

    def states(
        self,
        *,
        customer_id: str | None = None,
        provider: str | None = None,
        account_id: str | None = None,
        due: bool = False,
    ) -> list[SliceState]:
        """Return slices of active accounts, ordered by account and period; they match every given filter. `due`: only due ones."""
        values = {"customer_id": customer_id, "provider": provider, "account_id": account_id}
        rows = self._database.rows("due_slices.sql" if due else "slice_states.sql", values)
        return [SliceState(pop_slice(row), **row) for row in rows]

    def record_collection(
        self,
        slice_: Slice,
        token: str,
        at: datetime,
        *,
        line_items: int | None = None,
        generation: int | None = None,
        published_at: datetime | None = None,
        reached: datetime | None = None,
    ) -> None:
        """Store that a collection at the change token `token` succeeded at the UTC instant `at`, and the generation if it published one.

        `line_items` is their number, None if unknown.
        `reached` is the UTC instant (exclusive) up to which its data were complete, None if unknown.
        """
        values = {
            **key(slice_),
            "token": token,
            "at": at,
            "line_items": line_items,
            "generation": generation,
            "published_at": published_at,
            "reached": reached,
        }
        self._database.rows("record_collection.sql", values)

    def freshness(self, customer_id: str) -> Freshness:
        """Return the freshness of a customer's accounts beyond their publications."""
        return Freshness.of(self._database.rows("standing.sql", {"customer_id": customer_id}))

    def skip_generations(self, number: int) -> None:
        """Make every new generation number higher than `number`."""
        self._database.rows("skip_generations.sql", {"number": number})

    def start_generation(self, slice_: Slice, run_id: str) -> int:
        """Return a new generation number, higher than all before, for an attempt that begins now."""
        (row,) = self._database.rows("start_generation.sql", {**key(slice_), "run_id": run_id})
        return int(row["generation"])

    def finish_generation(self, generation: int, state: Literal["published", "unchanged", "discarded"]) -> None:
        """Store how an attempt ended; unless it was published, its rows are garbage from then on."""
        self._database.rows("finish_generation.sql", {"generation": generation, "state": state})

    def ended_generations(self, slice_: Slice, most: int) -> list[int]:
        """Return the newest attempts at a slice that ended and published nothing, at most `most`."""
        rows = self._database.rows("ended_generations.sql", {**key(slice_), "most": most})
        return [row["generation"] for row in rows]

    def live_generations(self, younger_than: timedelta = timedelta(hours=24)) -> frozenset[int]:
        """Return attempts that may still be loading: not ended, and begun within `younger_than` or in a process that holds the lock.

        Garbage collection keeps them. Its clock may be ahead by days, so what it says of their age is not enough.
        """
        return frozenset(
            row["generation"] for row in self._database.rows("live_generations.sql", {"younger_than": younger_than})
        )

    def recorded_publication(self, customer_id: str, younger_than: timedelta = timedelta(hours=24)) -> int | None:
        """Return the highest generation of a customer that is recorded as published, 0 if none is.

        None while an attempt may publish another: one that may still be loading, as in `live_generations`.
        """
        values = {"customer_id": customer_id, "younger_than": younger_than}
        (row,) = self._database.rows("recorded_publications.sql", values)
        return None if row["is_publishing"] else int(row["newest"])

    def locks(self) -> SliceLocks:
        """Return a holder of locks on slices; as a context manager it releases all of them on exit."""
        return SliceLocks(self._database)


def key(slice_: Slice) -> Row:
    """Return the columns that identify a slice in ``slice_state``."""
    return {"account_id": slice_.account_id, "billing_period": str(slice_.billing_period)}


def pop_slice(row: Row) -> Slice:
    """Remove the four columns of a slice from `row` and return the slice."""
    period = BillingPeriod.parse(row.pop("billing_period"))
    return Slice(row.pop("customer_id"), row.pop("provider"), row.pop("account_id"), period)
