"""The charges behind all simulated clouds: what was charged, when it became visible, what was invoiced.

A `Scenario` and a clock determine everything, so a test can run a year tick by tick in seconds and repeat it exactly. A simulator of a
provider only translates: it reads its `World` and writes responses in the format of one cloud::

    clock = SimulatedClock(datetime(2026, 1, 1, tzinfo=UTC))
    world = World(Scenario.load("busy_year"), clock, quantum=CENT)
    world.accrued(period)     # running totals: what the cloud shows now, including the hours of today
    world.charges(period)     # the same in whole days only
    world.invoice(period)     # all lines of the invoice, or None before it is issued
    clock.advance(hours=6)

A charge has two times: the day it is for, and `posted_at`, when the cloud first shows it. Late usage, a credit on day 40 for day 5 and a
restated day are charges that are shown later. A charge that is shown after the invoice of its month is on the next invoice.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.providers.context import Clock
from optiinfra_assets.simulators.world.scenario import Charge, Scenario, ScenarioResource
from optiinfra_assets.simulators.world.spend import (
    MILLIONTH,
    charges_of,
    invoiced_at,
    midnight,
    rounded,
    runs,
)

CENT: Final = Decimal("0.01")
MACHINES: Final = frozenset({"compute", "gpu"})
"""Services whose resources clouds list as machines."""


class SimulatedClock:
    """A `Clock` that moves only when `advance` is called."""

    def __init__(self, now: datetime) -> None:
        """Start at a UTC instant."""
        self.now = now

    def __call__(self) -> datetime:
        """Return the current simulated instant."""
        return self.now

    def advance(self, **duration: float) -> datetime:
        """Move on by a `timedelta`, given by its fields (``hours=6``), and return the new instant."""
        self.now += timedelta(**duration)
        return self.now


@dataclass(slots=True)
class World:
    """The charges of one scenario, seen at the time of a clock. Safe to use from several threads.

    Attributes:
        scenario: what the customer runs and is charged.
        clock: returns the current time where no instant is given.
        quantum: the smallest amount the cloud bills: every charge is a whole multiple of it, so sums are exact.
    """

    scenario: Scenario
    clock: Clock
    quantum: Decimal = MILLIONTH
    _of_days: dict[BillingPeriod, tuple[Charge, ...]] = field(default_factory=dict, init=False, repr=False)
    _of_bills: dict[BillingPeriod, tuple[Charge, ...]] = field(default_factory=dict, init=False, repr=False)
    _making: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False)

    def charges(self, period: BillingPeriod, now: datetime | None = None) -> list[Charge]:
        """Charges billed in `period` that the cloud shows at `now` (default: the clock), in whole days; tax once it is invoiced."""
        now = now or self.clock()
        shown = [charge for charge in self._billed(period) if _is_shown(charge, now)]
        return shown + (self._tax(period) if now >= self.invoiced_at(period) else [])

    def accrued(self, period: BillingPeriod, now: datetime | None = None) -> list[Charge]:
        """Like `charges`, plus the past hours of usage that is not shown whole yet: quantity and amount of that part of the day."""
        now = now or self.clock()
        running = [self._part(charge, now) for charge in self._billed(period) if charge.posted_at > now]
        return self.charges(period, now) + [charge for charge in running if charge is not None]

    def invoice(self, period: BillingPeriod, now: datetime | None = None) -> list[Charge] | None:
        """All lines of the invoice of `period`, None before it is issued. Empty if nothing was charged: most clouds then send none."""
        issued = self.invoiced_at(period)
        if (now or self.clock()) < issued or period.end <= midnight(self.scenario.start):
            return None
        return self.charges(period, issued)

    def ledger(self, period: BillingPeriod) -> list[Charge]:
        """Every charge that is billed in `period` at any time, with tax: also those not shown yet and those withdrawn again."""
        return [*self._billed(period), *self._tax(period)]

    def invoiced_at(self, period: BillingPeriod) -> datetime:
        """When the invoice of `period` is issued."""
        return invoiced_at(self.scenario, period)

    def periods(self, now: datetime | None = None) -> list[BillingPeriod]:
        """Periods of the account so far, oldest first, including the open one."""
        first, last = BillingPeriod.of(self.scenario.start), BillingPeriod.of(now or self.clock())
        months = (last.year - first.year) * 12 + last.month - first.month
        return [first.shift(index) for index in range(months + 1)]

    def machines(self) -> list[tuple[int, ScenarioResource]]:
        """The machines that exist now, each with its number among all resources."""
        today = self.clock().date()
        resources = enumerate(self.scenario.resources)
        return [(number, one) for number, one in resources if one.service in MACHINES and runs(one, today)]

    def _billed(self, period: BillingPeriod) -> tuple[Charge, ...]:
        """Every charge that the invoice of `period` may contain: those of its own days, and those too late for earlier invoices."""
        with self._making:
            if period not in self._of_bills:
                self._of_bills[period] = tuple(self._make(period))
            return self._of_bills[period]

    def _make(self, period: BillingPeriod) -> Iterator[Charge]:
        month = BillingPeriod.of(self.scenario.start)
        while month <= period:
            if month not in self._of_days:
                self._of_days[month] = tuple(charges_of(self.scenario, month, self.quantum))
            yield from (charge for charge in self._of_days[month] if charge.billing_period == period)
            month = month.shift(1)

    def _part(self, charge: Charge, now: datetime) -> Charge | None:
        begun, delay = midnight(charge.day), self.scenario.posting_delay
        hours = (now - delay - begun) // timedelta(hours=1)
        is_late = charge.posted_at > begun + timedelta(days=1) + delay
        if charge.kind != "usage" or charge.is_correction or is_late or not 0 < hours < 24:
            return None
        quantity = (charge.quantity * hours / 24).quantize(MILLIONTH)
        return replace(charge, quantity=quantity, amount=rounded(charge.amount * hours / 24, self.quantum))

    def _tax(self, period: BillingPeriod) -> list[Charge]:
        issued = self.invoiced_at(period)
        taxable = sum((line.amount for line in self._billed(period) if _is_shown(line, issued)), Decimal(0))
        amount = rounded(taxable * self.scenario.tax_rate, max(self.quantum, self.scenario.minor_unit))
        if not amount:
            return []
        return [
            Charge(
                key=f"tax/{period}",
                kind="tax",
                day=period.end.date() - timedelta(days=1),
                billing_period=period,
                resource=None,
                description="Tax (simulated)",
                quantity=Decimal(1),
                amount=amount,
                posted_at=issued,
            )
        ]


def grouped(charges: Iterable[Charge]) -> dict[str, list[Charge]]:
    """Group charges by resource; usage that corrects an invoice forms its own group, as do charges without a resource."""
    groups: dict[str, list[Charge]] = {}
    for charge in charges:
        running = None if charge.is_correction else charge.resource
        groups.setdefault(running.resource_id if running else charge.key, []).append(charge)
    return groups


def _is_shown(charge: Charge, now: datetime) -> bool:
    return charge.posted_at <= now and (charge.withdrawn_at is None or now < charge.withdrawn_at)
