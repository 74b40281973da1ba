"""Describes a simulated customer: what runs, which unusual events occur, when the cloud shows and invoices the charges.

A scenario is a file (TOML, beside this module in ``scenarios/``) or Python code in a test. Its dates are fixed, so that it gives the same
charges at every run; `Scenario.starting` moves all of them together, for a demo that ends today.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import ClassVar, Final

from pydantic import ConfigDict, TypeAdapter

from optiinfra_assets.domain.accounts import BillingPeriod

SCENARIOS: Final = Path(__file__).parent / "scenarios"
_STRICT: Final = ConfigDict(extra="forbid")
_MINOR_DIGITS: Final = {"JPY": 0, "KRW": 0, "BHD": 3, "KWD": 3}
"""Fraction digits of some ISO 4217 currencies that do not have two."""


@dataclass(frozen=True, slots=True)
class ScenarioResource:
    """Something that costs money every day.

    Attributes:
        hourly_price: list price of one unit-hour in the account's currency.
        units: how many units run at the start of the scenario.
        weekday_only: usage at weekends is 30 % of the weekday level.
        started: first day of use; None: as long as the account.
        ended: first day without it, or None.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    resource_id: str
    name: str
    service: str
    sku: str
    region: str
    sub_account: str
    hourly_price: Decimal
    units: int = 1
    weekday_only: bool = False
    started: date | None = None
    ended: date | None = None
    tags: tuple[tuple[str, str], ...] = ()


class EventKind(StrEnum):
    """Kinds of events; see `ScenarioEvent`."""

    SPIKE = "spike"
    STEP = "step"
    LATE = "late"
    RESTATE = "restate"
    PURCHASE = "purchase"
    CREDIT = "credit"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class ScenarioEvent:
    """An unusual event.

    Attributes:
        what: ``spike``: usage of `day` times `factor`; ``step``: the same from `day` on; ``late``: usage of `day` is posted on
            `posted_on`; ``restate``: usage of `day` becomes `factor` times as much on `posted_on`; ``purchase``: a commitment fee of
            `amount` on `day`; ``credit``, ``refund``: `amount` is given back for `day`, on `posted_on`.
        posted_on: day on which the cloud shows it; None: on `day` itself.
        amount: positive, in the account's currency.
        resource_id: for usage, the only affected resource; None: all.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    what: EventKind
    day: date
    posted_on: date | None = None
    factor: Decimal = Decimal(1)
    amount: Decimal = Decimal(0)
    resource_id: str | None = None

    def concerns(self, resource: ScenarioResource) -> bool:
        """Whether the event affects the usage of `resource`."""
        return self.resource_id in (None, resource.resource_id)

    @property
    def shown_on(self) -> date:
        """Day on which the cloud shows it."""
        return self.posted_on or self.day


@dataclass(frozen=True, slots=True)
class Scenario:
    """What a customer runs and is charged at one cloud.

    Attributes:
        name: also the seed of the noise.
        start: first day of the account.
        currency: of all its amounts; a cloud that bills in one currency only replaces it.
        monthly_growth: usage multiplies by this every 30 days.
        tax_rate: share of all charges that is billed as tax when a period is invoiced; zero: no tax.
        capped_hours: hours of a month after which a unit costs nothing more, at clouds with such a cap.
        posting_delay: usage shows this long after it happened.
        invoice_delay: the invoice of a period is issued this long after its end.
    """

    __pydantic_config__: ClassVar[ConfigDict] = _STRICT

    name: str
    start: date
    resources: tuple[ScenarioResource, ...]
    events: tuple[ScenarioEvent, ...] = ()
    currency: str = "USD"
    monthly_growth: Decimal = Decimal("1.03")
    tax_rate: Decimal = Decimal("0.20")
    capped_hours: int | None = None
    posting_delay: timedelta = timedelta(hours=6)
    invoice_delay: timedelta = timedelta(days=3)

    @property
    def minor_unit(self) -> Decimal:
        """The smallest amount that can be paid in its currency: a cent, a whole yen, a thousandth of a dinar."""
        return Decimal(1).scaleb(-_MINOR_DIGITS.get(self.currency, 2))

    @classmethod
    def load(cls, name: str) -> Scenario:
        """Load the scenario of a file ``scenarios/<name>.toml``.

        Raises:
            ValueError: naming the field and what is accepted.
        """
        said = tomllib.loads((SCENARIOS / f"{name}.toml").read_text(), parse_float=Decimal)
        return _READER.validate_python({"name": name, **said})

    def starting(self, start: date) -> Scenario:
        """Return the same scenario with all its days moved so that it begins on `start`."""
        shift = start - self.start
        return replace(
            self,
            start=start,
            resources=tuple(
                replace(resource, started=_moved(resource.started, shift), ended=_moved(resource.ended, shift))
                for resource in self.resources
            ),
            events=tuple(
                replace(event, day=event.day + shift, posted_on=_moved(event.posted_on, shift)) for event in self.events
            ),
        )


@dataclass(frozen=True, slots=True)
class Charge:
    """One charge of the world.

    Attributes:
        key: identity of the line, stable as long as the scenario does not change.
        kind: ``usage``, ``purchase``, ``tax``, ``credit`` or ``refund``; credits and refunds have negative amounts.
        day: UTC day the charge is for.
        billing_period: period whose invoice contains it.
        quantity: unit-hours for usage, else 1.
        amount: a whole multiple of the world's quantum.
        posted_at: UTC instant from which the cloud shows it whole (inclusive).
        withdrawn_at: UTC instant from which the cloud no longer shows it, or None.
        is_correction: changes what an earlier invoice said.
    """

    key: str
    kind: str
    day: date
    billing_period: BillingPeriod
    resource: ScenarioResource | None
    description: str
    quantity: Decimal
    amount: Decimal
    posted_at: datetime
    withdrawn_at: datetime | None = None
    is_correction: bool = False


def _moved(day: date | None, shift: timedelta) -> date | None:
    return None if day is None else day + shift


_READER: Final = TypeAdapter(Scenario)
