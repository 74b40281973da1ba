"""Answers of providers, kept as read in PostgreSQL: what providers ask of `Snapshots`, for one account."""

from __future__ import annotations

from collections.abc import Callable, Collection
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from psycopg.errors import ForeignKeyViolation

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Database, Row
from optiinfra_assets.domain.accounts import BillingPeriod


class SnapshotRecord(Protocol):
    """What is stored of a snapshot."""

    @property
    def kind(self) -> str:
        """What was asked, a word of the provider's own."""
        ...

    @property
    def billing_period(self) -> BillingPeriod:
        """The period the answer tells about."""
        ...

    @property
    def taken_at(self) -> datetime:
        """The instant at which it was read, with its zone."""
        ...

    @property
    def body(self) -> bytes:
        """The whole answer."""
        ...


S = TypeVar("S")


class SnapshotRepository(Generic[S]):
    """Snapshots of one account. Safe for threads, and for processes that add at the same time.

    `make` builds what providers know as a snapshot from kind, period, instant (UTC) and body: the store does not import the providers.
    """

    def __init__(
        self, database: Database, account_id: str, make: Callable[[str, BillingPeriod, datetime, bytes], S]
    ) -> None:
        self._database = database
        self._account_id = account_id
        self._make = make

    def taken(self, kind: str, billing_period: BillingPeriod) -> list[datetime]:
        """When the snapshots of a kind and period were taken, oldest first."""
        rows = self._database.rows("snapshot_taken.sql", self._key(kind, billing_period))
        return [row["taken_at"] for row in rows]

    def read(self, kind: str, billing_period: BillingPeriod, taken: Collection[datetime] | None = None) -> list[S]:
        """Snapshots of a kind and period, oldest first: those taken at the instants given, or all."""
        chosen = None if taken is None else list(taken)
        rows = self._database.rows("snapshot_read.sql", {**self._key(kind, billing_period), "taken": chosen})
        return [self._make(kind, billing_period, row["taken_at"], row["body"]) for row in rows]

    def newest(self, kind: str, billing_period: BillingPeriod) -> S | None:
        """The last of `read`, without reading the others."""
        rows = self._database.rows("snapshot_newest.sql", self._key(kind, billing_period))
        return next((self._make(kind, billing_period, row["taken_at"], row["body"]) for row in rows), None)

    def add(self, snapshot: SnapshotRecord) -> bool:
        """Keep `snapshot` for good, and say True.

        Nothing is kept, and False said, if its body equals that of the newest of its kind and period, or if it was not taken after that.

        Raises:
            ValueError: its instant has no zone.
            RecordNotFound: the account does not exist.
        """
        if snapshot.taken_at.tzinfo is None:
            raise ValueError(f"snapshot {snapshot.kind}: taken at {snapshot.taken_at}, without a zone: use UTC")
        values = {
            **self._key(snapshot.kind, snapshot.billing_period),
            "taken_at": snapshot.taken_at,
            "body": snapshot.body,
        }
        try:
            with self._database.transaction():
                self._database.rows("snapshot_lock.sql", values)
                # A statement of its own: only one that begins after the lock is held sees what others have just added.
                return bool(self._database.rows("snapshot_add.sql", values))
        except ForeignKeyViolation:
            raise RecordNotFound(f"account: {self._account_id!r} does not exist") from None

    def _key(self, kind: str, billing_period: BillingPeriod) -> Row:
        return {"account_id": self._account_id, "kind": kind, "billing_period": str(billing_period)}
