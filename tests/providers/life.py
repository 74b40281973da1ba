"""One simulated account probed and collected as the schedule does it, whatever the cloud; line items in memory, as dictionaries."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any, Self

import pyarrow as pa

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.line_items import SCHEMA
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.base import LineItemStream, Probe, Provider
from optiinfra_assets.providers.context import Deadline, MemorySnapshots, ProviderContext
from optiinfra_assets.simulators import SIMULATORS
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.world.scenario import Scenario
from optiinfra_assets.simulators.world.world import SimulatedClock

SECRET = "PLANTED4711SECRET"

Item = dict[str, Any]


class Items(Sequence[Item]):
    """The line items of batches, made Python's only when they are looked at: that takes as long as collecting, and most are only summed."""

    def __init__(self, batches: Sequence[pa.RecordBatch]) -> None:
        self._table = pa.Table.from_batches(batches, SCHEMA)

    @cached_property
    def _rows(self) -> list[Item]:
        return self._table.to_pylist()

    def with_only(self, *names: str) -> list[Item]:
        """The same with these columns alone."""
        return self._table.select(names).to_pylist()

    def __getitem__(self, at: Any) -> Any:
        return self._rows[at]

    def __len__(self) -> int:
        return self._table.num_rows

    def __eq__(self, other: object) -> bool:
        return self._rows == (other._rows if isinstance(other, Items) else other)

    def __repr__(self) -> str:
        return repr(self._rows)


def at(month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    """An instant of 2026."""
    return datetime(2026, month, day, hour, minute, tzinfo=UTC)


@dataclass
class AnyLife:
    """What the schedule knows of one account: a period is collected when its token is another than at its last collection."""

    cloud: SimulatedAccount
    clock: SimulatedClock
    provider: Provider
    snapshots: MemorySnapshots = field(default_factory=MemorySnapshots)
    tokens: dict[BillingPeriod, str] = field(default_factory=dict)
    items: dict[BillingPeriod, Sequence[Item]] = field(default_factory=dict)
    collections: dict[BillingPeriod, LineItemStream] = field(default_factory=dict)
    collected: list[BillingPeriod] = field(default_factory=list)
    limit: Callable[[], Deadline] = Deadline

    @classmethod
    def of(
        cls,
        name: str,
        scenario: Scenario,
        now: datetime,
        *,
        mode: str = "",
        quantum: Decimal | None = None,
        secret: str = SECRET,
    ) -> Self:
        """An account at the cloud `name`, which is not started yet."""
        clock = SimulatedClock(now)
        cloud = SIMULATORS[name].make(scenario, clock, secret=secret, quantum=quantum, mode=mode)
        return cls(cloud, clock, PROVIDERS[name])

    @property
    def account(self) -> Account:
        """As it is handed to the provider."""
        settings, secrets = self.cloud.settings(), self.cloud.secrets()
        return Account("shop.main", "shop", self.provider.name, settings, secrets, is_simulated=True)

    @property
    def context(self) -> ProviderContext:
        """The simulated clock, the kept answers, and no waiting."""
        return ProviderContext(self.clock, self.snapshots, sleep=lambda seconds: None, deadline=self.limit())

    def probe(self) -> Probe:
        """Ask whether anything changed."""
        return self.provider.probe(self.account, self.tokens, self.context)

    def open(self, period: BillingPeriod) -> LineItemStream:
        """The stream of a period, not read yet."""
        return self.provider.collect(self.account, period, self.context)

    def collect(self, period: BillingPeriod) -> Sequence[Item]:
        """Read a period to its end; what was there before stays if that fails."""
        collection = self.open(period)
        batches = list(collection.batches)
        assert all(batch.schema == SCHEMA for batch in batches)
        self.collections[period] = collection
        self.items[period] = Items(batches)
        return self.items[period]

    def tick(self) -> list[BillingPeriod]:
        """Probe, collect what changed, and say which periods those were."""
        probe = self.probe()
        assert self.tokens.keys() <= probe.tokens.keys(), "a period that is no longer named counts as gone"
        changed = sorted(period for period, token in probe.tokens.items() if self.tokens.get(period) != token)
        for period in changed:
            self.collect(period)
            assert self.collections[period].change_token == probe.tokens[period]
        self.tokens = dict(probe.tokens)
        self.collected += changed
        return changed

    def go(self, *moments: datetime) -> list[BillingPeriod]:
        """Tick at each of these instants; what changed at the last."""
        changed: list[BillingPeriod] = []
        for moment in moments:
            self.clock.now = moment
            changed = self.tick()
        return changed

    def days(self, first: datetime, count: int, hours: int = 24) -> list[BillingPeriod]:
        """Tick `count` times from `first` on."""
        return self.go(*(first + timedelta(hours=hours * number) for number in range(count)))


def billed(items: Sequence[Item], **only: Any) -> Decimal:
    """What the items with the given values come to."""
    rows = _with_only(items, "billed_cost", *only)
    matching = [item for item in rows if all(item[name] == value for name, value in only.items())]
    return sum((item["billed_cost"] for item in matching), Decimal(0))


def values(items: Sequence[Item], name: str) -> set[Any]:
    """The values of a column."""
    return {item[name] for item in _with_only(items, name)}


def _with_only(items: Sequence[Item], *names: str) -> Sequence[Item]:
    return items.with_only(*names) if isinstance(items, Items) else items


def by_day(items: Sequence[Item]) -> dict[date, Decimal]:
    """Billed cost by the day on which the charges begin."""
    days: dict[date, Decimal] = defaultdict(Decimal)
    for item in _with_only(items, "billed_cost", "charge_period_start"):
        days[item["charge_period_start"].date()] += item["billed_cost"]
    return dict(days)
