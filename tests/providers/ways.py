"""Every simulated cloud in every way that an account of it may be set up, small: what the contract suite and the matrix of failures try.

Where a cloud bills in any currency, each way to set it up is tried in another.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from life import SECRET, AnyLife, at

from optiinfra_assets.domain.accounts import Account, BillingPeriod
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.simulators import SIMULATORS
from optiinfra_assets.simulators.aws.simulator import FocusExport
from optiinfra_assets.simulators.world.scenario import Scenario, ScenarioEvent, ScenarioResource
from optiinfra_assets.simulators.world.world import SimulatedClock

JANUARY, FEBRUARY = BillingPeriod(2026, 1), BillingPeriod(2026, 2)
WEB = ScenarioResource(
    "6e1f-web",
    "web (simulated)",
    "compute",
    "standard-2",
    "fra",
    "main",
    Decimal("0.10"),
    tags=(("team", "shop"),),
)
DISK = ScenarioResource("disk", "disk (simulated)", "storage", "object", "fra", "main", Decimal("0.03"))

CURRENCIES = ("USD", "EUR", "JPY")
"""What accounts are billed in, where the cloud lets them choose; yen have no fraction."""

MARCH_10 = at(3, 10, 12)
"""January is closed by every cloud's rule by then, February is invoiced or about to be, March is open."""


def small(*events: ScenarioEvent, **fields: Any) -> Scenario:
    """A machine and a disk from December 2025."""
    return Scenario("small", date(2025, 12, 1), (WEB, DISK), events, **fields)


class Way(NamedTuple):
    """A way in which an account of a cloud is set up, and what is asked for to be billed in; some clouds know one currency only."""

    name: str
    mode: str
    currency: str


def ways() -> Iterator[Any]:
    for name, cloud in SIMULATORS.items():
        for mode, currency in zip(cloud.modes, itertools.cycle(CURRENCIES)):
            made = cloud.make(small(currency=currency), SimulatedClock(MARCH_10), secret=SECRET, mode=mode)
            yield pytest.param(Way(name, mode, currency), id=" ".join(filter(None, (name, mode, made.currency))))


def other_life(way: Way, scenario: Scenario, now: datetime, **how: Any) -> AnyLife:
    return AnyLife.of(way.name, replace(scenario, currency=way.currency), now, mode=way.mode, **how)


def young_life(way: Way) -> AnyLife:
    """An account that began late in January, which is closed, in the middle of February, which is open."""
    life = other_life(way, replace(small(), start=date(2026, 1, 25)), at(2, 10, 12))
    life.cloud.page_size = min(life.cloud.page_size, 40)
    return life


class FilesLife(AnyLife):
    """The FOCUS files of a simulated export, read as plain files of a bucket with the credential of this machine."""

    @property
    def account(self) -> Account:
        """As it is handed to the provider."""
        settings = {"location": "s3://simulated-costs/exports/costs/data", "endpoint_url": self.cloud.endpoint}
        return Account("shop.main", "shop", self.provider.name, settings | {"region": "us-east-1"}, {})


FILES = Way("focus", "focus-export", "USD")


def young_files() -> AnyLife:
    """As `young_life`, for files in a bucket."""
    made = young_life(Way("aws", FILES.mode, FILES.currency))
    assert isinstance(made.cloud, FocusExport)
    made.cloud.export.overwrites = True
    return FilesLife(made.cloud, made.clock, PROVIDERS[FILES.name])
