"""What a provider gets besides the account: the clock, a way to wait, and the responses that it kept earlier.

Some clouds report only a running total of the month. A day then costs the difference of two readings, so a provider keeps each whole
reading as a `Snapshot`: `probe` adds one, and `collect` computes from the kept ones and never from the time at which it runs. The same
snapshots and the same invoice give the same line items. A provider keeps no snapshots if it can read any day of its source again.

A provider does it like this (signatures of the base class)::

    def probe(self, account, since, context):
        with Client(endpoint, context, headers=bearer_header(...), secrets=[token]) as api:   # providers/http/client.py
            answer = api.get("/pending", permission="billing (read)")
            lines = [line.money("total") for line in answer.fields().objects("lines")]   # raises for an unknown format before it is kept
            period = BillingPeriod.of(context.clock())
            context.snapshots.add(Snapshot("pending", period, answer.asked_at, answer.body))
            return Probe(tokens={period: token_of(lines)}, requests=api.meter.requests)

    def collect(self, account, billing_period, context):
        snapshots = context.snapshots.read("pending", billing_period)  # oldest first
        ...
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from typing import Final, Protocol, Self

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.source_warnings import SourceWarnings
from optiinfra_assets.providers.network_policy import EVERYWHERE, NetworkPolicy

FIELD_LEFT_OUT: Final = "field-left-out"
"""Code of the warning about a field that is not as documented and that no cost depends on."""

Clock = Callable[[], datetime]
"""Returns the present UTC instant, real or simulated."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One response of a cloud, as read.

    Attributes:
        kind: what was requested, as a name that the provider chooses.
        billing_period: the period that the response is about.
        taken_at: UTC instant at which it was read.
        body: the whole response.
    """

    kind: str
    billing_period: BillingPeriod
    taken_at: datetime
    body: bytes = field(repr=False)


class Snapshots(Protocol):
    """Kept responses of one account; the creator of the `ProviderContext` chooses the account. Safe to use from several threads."""

    def taken(self, kind: str, billing_period: BillingPeriod) -> Sequence[datetime]:
        """Return when the snapshots of a kind and period were taken, oldest first. Use it to choose which to read: a month may be large."""
        ...

    def read(
        self, kind: str, billing_period: BillingPeriod, taken: Collection[datetime] | None = None
    ) -> Sequence[Snapshot]:
        """Return the snapshots of a kind and period, oldest first: those taken at the given instants, or all."""
        ...

    def newest(self, kind: str, billing_period: BillingPeriod) -> Snapshot | None:
        """Return the last snapshot of `read` without reading the others, or None."""
        ...

    def add(self, snapshot: Snapshot) -> bool:
        """Keep `snapshot` and return True.

        This keeps nothing and returns False if its body equals that of the newest snapshot of its kind and period, or if it was not taken
        after that one: the slower of two simultaneous probes has nothing to add.
        """
        ...


@dataclass(slots=True)
class Meter:
    """Counts requests and their cost in USD. Refused and repeated requests count too, because they were made.

    Attributes:
        price: price of one request in USD.
        within: another meter that counts along, for a sum over several meters.
    """

    price: Decimal = Decimal(0)
    within: Meter | None = None
    requests: int = 0
    cost: Decimal = Decimal(0)

    def count(self) -> None:
        """Count one request. Call this before the request is sent."""
        self._add(1, self.price)

    def charge(self, amount: Decimal) -> None:
        """Add what the cloud charges for a request beyond `price`, in USD, if only the response states it."""
        self._add(0, amount)

    def _add(self, requests: int, amount: Decimal) -> None:
        self.requests += requests
        self.cost += amount
        if self.within is not None:
            self.within._add(requests, amount)


@dataclass(slots=True)
class Deadline:
    """When one call of a provider has to end, whatever its requests, pages and waits are.

    Requests that only explain costs have a smaller share, so that costs come though such a request is never answered: together a third of
    the call, and each of them, with its retries, `patience`. Each that takes longer halves the patience with the others.

    Attributes:
        seconds: how long the call may take.
        setting: environment variable that sets `seconds`; empty if none does.
        now: clock in seconds that never goes back.
        end: when it passes, by that clock.
        patience: seconds that the next request which only explains costs may take.
        share: seconds that all such requests may still take.
        is_explaining: the requests made now only explain costs.
    """

    seconds: float = math.inf
    setting: str = ""
    now: Callable[[], float] = time.monotonic
    end: float = math.inf
    patience: float = math.inf
    share: float = field(init=False)
    is_explaining: bool = field(default=False, init=False)
    _request_end: float = field(default=math.inf, init=False, repr=False)
    _share_end: float = field(default=math.inf, init=False, repr=False)

    def __post_init__(self) -> None:
        self.share = self.seconds / 3

    @classmethod
    def after(
        cls,
        seconds: float,
        setting: str = "",
        now: Callable[[], float] = time.monotonic,
        patience: float = math.inf,
    ) -> Self:
        """Return the deadline of a call that begins now."""
        return cls(seconds, setting, now, now() + seconds, patience)

    def left(self) -> float:
        """Return the seconds until it passes, or until the present request has used up its share; zero or less once that was."""
        return min(self.end, self._request_end) - self.now()

    @contextmanager
    def explaining(self) -> Iterator[None]:
        """Give the requests in the block the share of those that only explain costs."""
        if self.is_explaining:
            yield
            return
        begun = self.now()
        self.is_explaining, self._share_end = True, begun + self.share
        try:
            yield
        finally:
            self.is_explaining, self._share_end = False, math.inf
            self.share -= self.now() - begun

    @contextmanager
    def request(self) -> Iterator[None]:
        """Limit one request, with its retries, to the time that it may take."""
        outer = self._request_end
        if self.is_explaining:
            self._request_end = min(outer, self._share_end, self.now() + self.patience)
        try:
            yield
        finally:
            if self.now() >= self._request_end:
                self.patience /= 2
            self._request_end = outer


@dataclass(frozen=True, slots=True)
class ProviderContext:
    """The environment of one call of a provider.

    Attributes:
        clock: returns the present UTC instant; providers read no other clock, so that a test can run a year in seconds.
        snapshots: kept responses of the account.
        sleep: waits that many seconds.
        spent: counts all requests made with this context, also those of a call that failed.
        network: where requests may go; `ingestion.account_access.for_call` takes it from the account.
        deadline: when the call has to end.
        warnings: what line items lack; a provider passes it on in its probe and its streams.
    """

    clock: Clock
    snapshots: Snapshots
    sleep: Callable[[float], None] = time.sleep
    spent: Meter = field(default_factory=Meter)
    network: NetworkPolicy = EVERYWHERE
    deadline: Deadline = field(default_factory=Deadline)
    warnings: SourceWarnings = field(default_factory=SourceWarnings)

    def leave_out(self, line: str) -> None:
        """Warn that a field which only explains costs is not as documented, and that the line items come without it."""
        self.warnings.add(
            FIELD_LEFT_OUT, "a field that only explains costs is not as documented and is left out", 1, line
        )

    def meter(self, price: Decimal = Decimal(0)) -> Meter:
        """Return a meter for requests of a given price in USD; `spent` counts along."""
        return Meter(price, within=self.spent)


class MemorySnapshots:
    """Snapshots in memory, for tests and for providers that keep none."""

    def __init__(self) -> None:
        self._kept: dict[tuple[str, BillingPeriod], list[Snapshot]] = {}
        self._adding = threading.Lock()

    def taken(self, kind: str, billing_period: BillingPeriod) -> Sequence[datetime]:
        """Return when the snapshots of a kind and period were taken, oldest first."""
        return tuple(snapshot.taken_at for snapshot in self._kept.get((kind, billing_period), ()))

    def read(
        self, kind: str, billing_period: BillingPeriod, taken: Collection[datetime] | None = None
    ) -> Sequence[Snapshot]:
        """Return the snapshots of a kind and period, oldest first: those taken at the given instants, or all."""
        kept = self._kept.get((kind, billing_period), ())
        return tuple(snapshot for snapshot in kept if taken is None or snapshot.taken_at in taken)

    def newest(self, kind: str, billing_period: BillingPeriod) -> Snapshot | None:
        """Return the last snapshot of `read`, or None."""
        kept = self._kept.get((kind, billing_period))
        return kept[-1] if kept else None

    def add(self, snapshot: Snapshot) -> bool:
        """Keep a snapshot as `Snapshots.add` does."""
        with self._adding:
            newest = self.newest(snapshot.kind, snapshot.billing_period)
            if newest is not None and (snapshot.taken_at <= newest.taken_at or snapshot.body == newest.body):
                return False
            self._kept.setdefault((snapshot.kind, snapshot.billing_period), []).append(snapshot)
            return True


def transient_context() -> ProviderContext:
    """Return the context to read an account that is not stored yet. It keeps snapshots in memory only; the first probe stores them."""
    return ProviderContext(utc_now, MemorySnapshots())


def utc_now() -> datetime:
    """Return the present UTC instant of the real clock."""
    return datetime.now(UTC)
