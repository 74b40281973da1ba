"""What a provider is handed besides the account: the clock, a way to wait, and the answers it kept from earlier.

Some clouds tell only a running total of the month. What a day cost is then the difference of two readings, so each reading is kept whole
as a `Snapshot`: `probe` adds one, `collect` computes from those kept and never from the moment it happens to run. Same snapshots and same
invoice, same line items. A provider whose source can be asked again for any day keeps none.

How the next provider goes about it (signatures of the base class)::

    def probe(self, account, since, context):
        with Client(endpoint, context, headers=bearer(...), secrets=[token]) as api:   # providers/http.py
            answer = api.get("/pending", permission="billing (read)")
            lines = [line.money("total") for line in answer.fields().objects("lines")]   # refuse what is not understood before it is kept
            period = BillingPeriod.of(context.clock())
            context.snapshots.add(Snapshot("pending", period, answer.asked_at, answer.body))
            return Probe(tokens={period: token_of(lines)}, requests=api.meter.requests)

    def collect(self, account, billing_period, context):
        snapshots = context.snapshots.read("pending", billing_period)  # oldest first
        ...
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Protocol

from optiinfra_assets.domain.accounts import BillingPeriod

Clock = Callable[[], datetime]
"""Gives the present UTC instant, real or simulated."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One answer of a provider, as read.

    Attributes:
        kind: what was asked, a word of the provider's own.
        billing_period: the period the answer tells about.
        taken_at: UTC instant at which it was read.
        body: the whole answer.
    """

    kind: str
    billing_period: BillingPeriod
    taken_at: datetime
    body: bytes = field(repr=False)


class Snapshots(Protocol):
    """Kept answers of one account, which whoever makes the `ProviderContext` has chosen. Safe to use from several threads."""

    def taken(self, kind: str, billing_period: BillingPeriod) -> Sequence[datetime]:
        """When the snapshots of a kind and period were taken, oldest first: to choose which to read, for a month of them may be large."""
        ...

    def read(
        self, kind: str, billing_period: BillingPeriod, taken: Collection[datetime] | None = None
    ) -> Sequence[Snapshot]:
        """Snapshots of a kind and period, oldest first: those taken at the instants given, or all."""
        ...

    def newest(self, kind: str, billing_period: BillingPeriod) -> Snapshot | None:
        """The last of `read`, without reading the others."""
        ...

    def add(self, snapshot: Snapshot) -> bool:
        """Keep `snapshot` for good, and say True.

        Nothing is kept, and False said, if its body equals that of the newest of its kind and period, or if it was not taken after that:
        the slower of two probes at once has nothing to add.
        """
        ...


@dataclass(slots=True)
class Meter:
    """Requests and their price, in USD. Refused and repeated requests count: they were made.

    Attributes:
        price: of one request.
        within: counts along, for a sum over several meters.
    """

    price: Decimal = Decimal(0)
    within: Meter | None = None
    requests: int = 0
    cost: Decimal = Decimal(0)

    def count(self) -> None:
        """Count one request; to be called before it is sent."""
        self._add(1, self.price)

    def charge(self, amount: Decimal) -> None:
        """Add what the provider charges for a request beyond `price`, where only its answer tells."""
        self._add(0, amount)

    def _add(self, requests: int, amount: Decimal) -> None:
        self.requests += requests
        self.cost += amount
        if self.within is not None:
            self.within._add(requests, amount)


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """What surrounds one call of a provider.

    Attributes:
        clock: the present UTC instant; providers ask no other clock, so that a year can be tried in seconds.
        snapshots: kept answers of the account.
        sleep: waits that many seconds.
        spent: everything asked of the provider with this context, also by a call that failed.
    """

    clock: Clock
    snapshots: Snapshots
    sleep: Callable[[float], None] = time.sleep
    spent: Meter = field(default_factory=Meter)

    def meter(self, price: Decimal = Decimal(0)) -> Meter:
        """A meter for requests of a price in USD, which `spent` counts along with."""
        return Meter(price, within=self.spent)


class MemorySnapshots:
    """Snapshots in memory, for tests and for sources that keep none."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, BillingPeriod], list[Snapshot]] = {}
        self._adding = threading.Lock()

    def taken(self, kind: str, billing_period: BillingPeriod) -> Sequence[datetime]:
        """When the snapshots of a kind and period were taken, oldest first."""
        return tuple(snapshot.taken_at for snapshot in self._kept.get((kind, billing_period), ()))

    def read(
        self, kind: str, billing_period: BillingPeriod, taken: Collection[datetime] | None = None
    ) -> Sequence[Snapshot]:
        """Snapshots of a kind and period, oldest first: those taken at the instants given, or all."""
        kept = self._kept.get((kind, billing_period), ())
        return tuple(snapshot for snapshot in kept if taken is None or snapshot.taken_at in taken)

    def newest(self, kind: str, billing_period: BillingPeriod) -> Snapshot | None:
        """The last of `read`, or None."""
        kept = self._kept.get((kind, billing_period))
        return kept[-1] if kept else None

    def add(self, snapshot: Snapshot) -> bool:
        """As `Snapshots.add`."""
        with self._adding:
            newest = self.newest(snapshot.kind, snapshot.billing_period)
            if newest is not None and (snapshot.taken_at <= newest.taken_at or snapshot.body == newest.body):
                return False
            self._kept.setdefault((snapshot.kind, snapshot.billing_period), []).append(snapshot)
            return True


def utc_now() -> datetime:
    """The real clock."""
    return datetime.now(UTC)
