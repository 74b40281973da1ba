"""Computes the charges of a scenario's customer in a month: usage day by day, and its events.

Pure functions of the scenario: the noise comes from hashes of names and days, never from a random generator.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.world.scenario import (
    Charge,
    EventKind,
    Scenario,
    ScenarioEvent,
    ScenarioResource,
)

MILLIONTH: Final = Decimal("0.000001")


def charges_of(scenario: Scenario, month: BillingPeriod, quantum: Decimal) -> Iterator[Charge]:
    """Yield every charge for a day of `month`, whenever it is shown and whichever invoice contains it.

    Args:
        scenario: whose charges.
        month: calendar month of the days.
        quantum: smallest amount the cloud bills; every amount is a whole multiple of it.
    """
    day = max(month.start.date(), scenario.start)
    while day < month.end.date():
        for resource in scenario.resources:
            if runs(resource, day):
                yield from _usage(scenario, resource, day, quantum)
        day += timedelta(days=1)
    for number, event in enumerate(scenario.events):
        if (
            event.what in {EventKind.PURCHASE, EventKind.CREDIT, EventKind.REFUND}
            and BillingPeriod.of(event.day) == month
        ):
            yield _extra(scenario, number, event, quantum)


def invoiced_at(scenario: Scenario, period: BillingPeriod) -> datetime:
    """When the invoice of `period` is issued."""
    return period.end + scenario.invoice_delay


def rounded(amount: Decimal, quantum: Decimal) -> Decimal:
    """Round to the nearest whole multiple of `quantum`, half-even."""
    return (amount / quantum).quantize(Decimal(1)) * quantum


def runs(resource: ScenarioResource, day: date) -> bool:
    """Whether a resource exists on a day."""
    return (resource.started is None or resource.started <= day) and (resource.ended is None or day < resource.ended)


def _usage(scenario: Scenario, resource: ScenarioResource, day: date, quantum: Decimal) -> Iterator[Charge]:
    events = [event for event in scenario.events if event.day == day and event.concerns(resource)]
    factor = _level(scenario, resource, day)
    for event in events:
        factor *= event.factor if event.what is EventKind.SPIKE else 1
    shown = midnight(day + timedelta(days=1)) + scenario.posting_delay
    shown = max([shown, *(midnight(event.shown_on) for event in events if event.what is EventKind.LATE)])
    hours = (24 * resource.units * factor).quantize(MILLIONTH)
    price = resource.hourly_price * _share_below_cap(scenario, resource, day)
    charge = Charge(
        key=f"usage/{resource.resource_id}/{day}",
        kind="usage",
        day=day,
        billing_period=_billed_in(scenario, day, shown),
        resource=resource,
        description=f"{resource.sku} in {resource.region}",
        quantity=hours,
        amount=rounded(hours * price, quantum),
        posted_at=shown,
    )
    restated = next((event for event in events if event.what is EventKind.RESTATE), None)
    if restated is None:
        yield charge
        return
    hours = (hours * restated.factor).quantize(MILLIONTH)
    again = replace(charge, key=f"{charge.key}/restated", quantity=hours, amount=rounded(hours * price, quantum))
    yield from _restated(scenario, charge, again, midnight(restated.shown_on))


def _restated(scenario: Scenario, charge: Charge, again: Charge, at: datetime) -> Iterator[Charge]:
    """Replace the charge if its invoice is not issued yet; otherwise put the difference on a later invoice."""
    if at <= invoiced_at(scenario, charge.billing_period):
        yield replace(charge, withdrawn_at=at)
        yield replace(again, posted_at=at)
        return
    yield charge
    yield replace(
        again,
        billing_period=_billed_in(scenario, charge.day, at),
        description=f"{charge.description} (corrected)",
        quantity=again.quantity - charge.quantity,
        amount=again.amount - charge.amount,
        posted_at=at,
        is_correction=True,
    )


def _extra(scenario: Scenario, number: int, event: ScenarioEvent, quantum: Decimal) -> Charge:
    shown = midnight(event.shown_on)
    period = _billed_in(scenario, event.day, shown)
    sign = 1 if event.what is EventKind.PURCHASE else -1
    return Charge(
        key=f"{event.what}/{number}",
        kind=str(event.what),
        day=event.day,
        billing_period=period,
        resource=None,
        description=f"{event.what.capitalize()} {number} (simulated)",
        quantity=Decimal(1),
        amount=sign * rounded(abs(event.amount), quantum),
        posted_at=shown,
        is_correction=period != BillingPeriod.of(event.day),
    )


def _billed_in(scenario: Scenario, day: date, shown: datetime) -> BillingPeriod:
    """The period of `day` or, if its invoice was issued before the charge was shown, the first period whose invoice was not."""
    period = BillingPeriod.of(day)
    while shown > invoiced_at(scenario, period):
        period = period.shift(1)
    return period


def _level(scenario: Scenario, resource: ScenarioResource, day: date) -> Decimal:
    """Level of use: growth by the month, steps, less at weekends, and a few per cent of noise that is the same at every run."""
    growth = scenario.monthly_growth ** ((day - scenario.start).days // 30)
    weekend = Decimal("0.3") if resource.weekday_only and day.weekday() >= 5 else Decimal(1)
    digest = hashlib.sha256(f"{scenario.name}/{resource.resource_id}/{day}".encode()).digest()
    for event in scenario.events:
        if event.what is EventKind.STEP and event.day <= day and event.concerns(resource):
            growth *= event.factor
    return growth * weekend * (Decimal("0.95") + Decimal(digest[0]) / 2550)


def _share_below_cap(scenario: Scenario, resource: ScenarioResource, day: date) -> Decimal:
    """The part of a day's hours that is charged: all until the month's hours are used up, then none."""
    if scenario.capped_hours is None:
        return Decimal(1)
    first = max(day.replace(day=1), scenario.start, resource.started or date.min)
    left = scenario.capped_hours - 24 * (day - first).days
    return Decimal(max(0, min(24, left))) / 24


def midnight(day: date) -> datetime:
    """The UTC instant at which `day` begins."""
    return datetime(day.year, day.month, day.day, tzinfo=UTC)
