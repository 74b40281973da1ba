"""Snapshots: responses of providers, stored unchanged in PostgreSQL. Implements the providers' protocol `Snapshots` for one account."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from psycopg.errors import ForeignKeyViolation

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Database, Row
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.freshness import SKEW


class SnapshotRecord(Protocol):
    """The stored attributes of a snapshot."""

    @property
    def kind(self) -> str:
        """The kind of request; each provider defines its own words."""
        ...

    @property
    def billing_period(self) -> BillingPeriod:
        """The billing period that the response describes."""
        ...

    @property
    def taken_at(self) -> datetime:
        """The instant of reading, with a time zone."""
        ...

    @property
    def body(self) -> bytes:
        """The whole response."""
        ...


S = TypeVar("S")


class SnapshotRepository(Generic[S]):
    """Reads and writes the snapshots of one account. Thread-safe, and safe if several processes add at the same time.

    `make` builds the providers' snapshot type from kind, period, instant (UTC) and body, because this package does not import providers.
    """

    def __init__(
        self, database: Database, account_id: str, make: Callable[[str, BillingPeriod, datetime, bytes], S]
    ) -> None:
        self._database = database
        self._account_id = account_id
        self._make = make

    def taken(self, kind: str, billing_period: BillingPeriod) -> list[datetime]:
        """Return the instants (UTC) of the snapshots of a kind and period, oldest first."""
        rows = self._database.rows("snapshot_taken.sql", self._key(kind, billing_period))
        return [row["taken_at"] for row in rows]

    def read(self, kind: str, billing_period: BillingPeriod, taken: Collection[datetime] | None = None) -> list[S]:
        """Return the snapshots of a kind and period, oldest first: those of the instants `taken`, or all."""
        chosen = None if taken is None else list(taken)
        rows = self._database.rows("snapshot_read.sql", {**self._key(kind, billing_period), "taken": chosen})
        return [self._make(kind, billing_period, row["taken_at"], row["body"]) for row in rows]

    def newest(self, kind: str, billing_period: BillingPeriod) -> S | None:
        """Return the newest snapshot of a kind and period without reading the others, None if there is none."""
        rows = self._database.rows("snapshot_newest.sql", self._key(kind, billing_period))
        return next((self._make(kind, billing_period, row["taken_at"], row["body"]) for row in rows), None)

    def add(self, snapshot: SnapshotRecord) -> bool:
        """Store `snapshot` permanently and return True.

        This stores nothing and returns False if the newest snapshot of its kind and period has the same body, or is not older. If a clock
        that was ahead took that one, the new one is stored with a time right after it.

        Raises:
            ValueError: its instant has no time zone.
            RecordNotFound: the account does not exist.
        """
        if snapshot.taken_at.tzinfo is None:
            raise ValueError(f"snapshot {snapshot.kind}: taken at {snapshot.taken_at}, without a zone: use UTC")
        values = {
            **self._key(snapshot.kind, snapshot.billing_period),
            "taken_at": snapshot.taken_at,
            "body": snapshot.body,
            "skew": SKEW,
        }
        try:
            with self._database.transaction():
                self._database.rows("snapshot_lock.sql", values)
                # A separate statement: only one that begins after the lock is held sees what others have just added.
                return bool(self._database.rows("snapshot_add.sql", values))
        except ForeignKeyViolation:
            raise RecordNotFound(f"account: {self._account_id!r} does not exist") from None

    def _key(self, kind: str, billing_period: BillingPeriod) -> Row:
        return {"account_id": self._account_id, "kind": kind, "billing_period": str(billing_period)}
