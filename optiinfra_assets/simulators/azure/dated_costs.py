"""Computes the daily costs that Azure shows of a world: before tax and credits, refreshed every four hours.

A charge that arrives too late for the bill of its month is dated on the day it arrived. A commitment is one purchase and then thirty days
of what the amortized data call unused, because nothing in a scenario uses a commitment.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.world.scenario import Charge, ScenarioResource
from optiinfra_assets.simulators.world.spend import rounded
from optiinfra_assets.simulators.world.world import World

COMMITTED_DAYS: Final = 30
_TYPES: Final = {"usage": "Usage", "purchase": "Purchase", "refund": "Refund"}


@dataclass(frozen=True, slots=True)
class DatedCost:
    """One charge of one day.

    Attributes:
        billed: as invoiced; zero for a day of a commitment.
        effective: with commitments spread over their days; zero for the purchase of one.
    """

    day: date
    charge_type: str
    resource: ScenarioResource | None
    billed: Decimal
    effective: Decimal


def refreshed_at(now: datetime) -> datetime:
    """When the data that are shown at `now` were made."""
    return now.replace(hour=now.hour // 4 * 4, minute=0, second=0, microsecond=0)


def dated_costs(world: World, period: BillingPeriod, now: datetime) -> list[DatedCost]:
    """Return the costs of a month that are shown at `now`."""
    shown = refreshed_at(now)
    charges = [charge for charge in world.accrued(period, shown) if charge.kind in _TYPES]
    return [_cost(charge) for charge in charges] + list(_used_up(world, period, shown))


def billed_total(costs: list[DatedCost]) -> Decimal:
    """Sum of the costs as invoiced."""
    return sum((cost.billed for cost in costs), Decimal(0))


def _cost(charge: Charge) -> DatedCost:
    effective = Decimal(0) if charge.kind == "purchase" else charge.amount
    return DatedCost(_dated(charge), _TYPES[charge.kind], charge.resource, charge.amount, effective)


def _dated(charge: Charge) -> date:
    period = charge.billing_period
    if BillingPeriod.of(charge.day) == period:
        return charge.day
    return min(max(charge.posted_at, period.start), period.end - timedelta(days=1)).date()


def _used_up(world: World, period: BillingPeriod, shown: datetime) -> Iterator[DatedCost]:
    for month in (period.shift(-1), period):
        for charge in world.charges(month, shown):
            if charge.kind == "purchase":
                for number in range(COMMITTED_DAYS):
                    day = _dated(charge) + timedelta(days=number)
                    if BillingPeriod.of(day) == period and day <= shown.date():
                        amount = _share(charge.amount, number, world.quantum)
                        yield DatedCost(day, "UnusedReservation", None, Decimal(0), amount)


def _share(amount: Decimal, number: int, quantum: Decimal) -> Decimal:
    """The amount of one day: whole multiples of the quantum; the last day takes the remainder."""
    daily = rounded(amount / COMMITTED_DAYS, quantum)
    return daily if number < COMMITTED_DAYS - 1 else amount - daily * (COMMITTED_DAYS - 1)
