"""What was seen and collected of each slice, attempts to build generations, and the lock that keeps two apart."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

import psycopg

from optiinfra_assets.database.errors import SliceBusy
from optiinfra_assets.database.postgres import Repository, Row
from optiinfra_assets.domain.accounts import BillingPeriod, Slice
from optiinfra_assets.domain.freshness import Freshness

GONE = ""
"""Change token of a billing period that the source once had and has no more."""


@dataclass(frozen=True, slots=True)
class SliceState:
    """One slice as last probed and last collected; times are UTC, None before the first.

    Attributes:
        seen_token: change token of the last probe, `GONE` if the source no longer has the period, None if never probed.
        collected_token: change token the last successful collection answered to, None before it.
        checked_at: the last successful collection, also one that found nothing new.
        generation: the published generation, as far as the collector recorded it; the warehouse has the last word.
    """

    slice: Slice
    seen_token: str | None
    seen_at: datetime | None
    collected_token: str | None
    checked_at: datetime | None
    generation: int | None
    published_at: datetime | None

    @property
    def is_due(self) -> bool:
        """The source shows something that was not collected."""
        return self.seen_token is not None and self.seen_token != self.collected_token


class SliceLock:
    """A held lock on one slice; see `SliceRepository.lock`."""

    def __init__(self, slice_: Slice, connection: psycopg.Connection[Any]) -> None:
        self._slice = slice_
        self._connection = connection

    def check(self) -> None:
        """Return if the lock is still held; call before what must not happen twice.

        Raises:
            SliceBusy: the connection that held it is gone, so another collector may be at work.
        """
        try:
            self._connection.execute(b"SELECT 1")
        except psycopg.OperationalError:
            raise SliceBusy(
                f"{self._slice}: the lock was lost with its PostgreSQL connection: collect it again"
            ) from None


class SliceRepository(Repository):
    """The part of `Metadata` on slices and generations."""

    def record_probe(self, account_id: str, tokens: Mapping[BillingPeriod, str], at: datetime) -> int:
        """Store what a probe of an account saw `at` a UTC instant; periods seen before that are not in it are `GONE`.

        Returns:
            How many billing periods show another token than at the probe before.
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
        """Slices of active accounts, by account and period; each filter that is given must match; `due`: only those."""
        values = {"customer_id": customer_id, "provider": provider, "account_id": account_id}
        rows = self._database.rows("due_slices.sql" if due else "slice_states.sql", values)
        return [SliceState(pop_slice(row), **row) for row in rows]

    def record_collection(
        self,
        slice_: Slice,
        token: str,
        at: datetime,
        *,
        generation: int | None = None,
        published_at: datetime | None = None,
        reached: datetime | None = None,
    ) -> None:
        """Store that a collection answering to `token` ended well `at` a UTC instant; with `generation` if it published one.

        `reached` is the UTC instant that its answer was complete to (exclusive), None if nobody knows.
        """
        values = {
            **key(slice_),
            "token": token,
            "at": at,
            "generation": generation,
            "published_at": published_at,
            "reached": reached,
        }
        self._database.rows("record_collection.sql", values)

    def freshness(self, customer_id: str) -> Freshness:
        """What is known of a customer's accounts beyond what they published."""
        return Freshness.of(self._database.rows("standing.sql", {"customer_id": customer_id}))

    def skip_generations(self, number: int) -> None:
        """Let every generation number from now on be higher than `number`."""
        self._database.rows("skip_generations.sql", {"number": number})

    def start_generation(self, slice_: Slice, run_id: str) -> int:
        """A new generation number, higher than every one before, for an attempt that begins now."""
        (row,) = self._database.rows("start_generation.sql", {**key(slice_), "run_id": run_id})
        return int(row["generation"])

    def finish_generation(self, generation: int, state: Literal["published", "unchanged", "discarded"]) -> None:
        """Store how an attempt ended; its rows are garbage from then on unless it was published."""
        self._database.rows("finish_generation.sql", {"generation": generation, "state": state})

    def live_generations(self, younger_than: timedelta = timedelta(hours=24)) -> frozenset[int]:
        """Attempts that may still be loading: begun within `younger_than` and not ended. Garbage collection spares them."""
        return frozenset(
            row["generation"] for row in self._database.rows("live_generations.sql", {"younger_than": younger_than})
        )

    @contextmanager
    def lock(self, slice_: Slice) -> Iterator[SliceLock]:
        """Hold the one lock on a slice. It lives on a connection of its own, so it ends with this process, however that ends.

        Raises:
            SliceBusy: another process holds it; nothing is waited for.
        """
        with self._database.locked("lock_slice.sql", {"slice": str(slice_)}) as connection:
            if connection is None:
                raise SliceBusy(f"{slice_}: another run is collecting it: wait for that one to end")
            yield SliceLock(slice_, connection)


def key(slice_: Slice) -> Row:
    """The columns that name a slice in ``slice_state``."""
    return {"account_id": slice_.account_id, "billing_period": str(slice_.billing_period)}


def pop_slice(row: Row) -> Slice:
    """The slice that four columns of a row name, which are taken out of it."""
    period = BillingPeriod.parse(row.pop("billing_period"))
    return Slice(row.pop("customer_id"), row.pop("provider"), row.pop("account_id"), period)
