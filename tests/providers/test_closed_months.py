"""A closed month that a cloud restates arrives by itself, where the cloud does not tell; and what looking costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal

import pytest
from life import AnyLife, at, billed
from ways import JANUARY, MARCH_10, WEB, other_life, small, ways

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.world.world import World

QUIET = [one for one in ways() if one.values[0].mode in ("query", "cost-explorer")]
"""Ways in which the source has totals, and no token that changes with them."""


def restate(life: AnyLife, price: str) -> None:
    """Let the cloud state all months anew, at another price of the machine."""
    scenario = life.cloud.world.scenario
    resources = (replace(WEB, hourly_price=Decimal(price)), *scenario.resources[1:])
    life.cloud.world = World(replace(scenario, resources=resources), life.clock, life.cloud.world.quantum)


def ticks(life: AnyLife, moment: datetime) -> list[BillingPeriod]:
    """What is collected in two ticks of a day: what is paid for looks at closed months after all that is due."""
    return [period for minutes in (0, 15) for period in life.go(moment + timedelta(minutes=minutes))]


@pytest.mark.parametrize("way", QUIET)
def test_a_restated_month_is_collected_again_by_itself(way: object) -> None:
    """Within a day where requests are free, within a week where they are paid; and never without a restatement."""
    life = other_life(way, small(), MARCH_10)  # type: ignore[arg-type]
    is_paid = life.provider.capabilities.paid_requests
    with life.cloud:
        life.go(MARCH_10, at(3, 17, 12))
        for day in range(18, 26):
            assert JANUARY not in ticks(life, at(3, day, 12)), "nothing was restated"
        before = billed(life.items[JANUARY])
        restate(life, "0.20")
        changed = [day for day in range(26, 35) if JANUARY in ticks(life, at(3, 25, 12) + timedelta(days=day - 25))]
        assert len(changed) == 1, "collected once"
        assert changed[0] <= (33 if is_paid else 26)
        assert billed(life.items[JANUARY]) == life.cloud.amount(JANUARY) > before
        restate(life, "0.10")
        again = [day for day in range(35, 44) if JANUARY in ticks(life, at(3, 25, 12) + timedelta(days=day - 25))]
        assert len(again) == 1, "and once more, as it was before"
        assert billed(life.items[JANUARY]) == before


@pytest.mark.parametrize("way", [one for one in QUIET if one.values[0].name == "aws"])
def test_looking_costs_a_page_a_week_once_nothing_else_is_due(way: object) -> None:
    life = other_life(way, small(), MARCH_10)  # type: ignore[arg-type]
    with life.cloud:
        costs = []
        for day in range(14):
            life.clock.now = MARCH_10 + timedelta(days=day)
            assert life.probe().cost == 0, "the open month comes first"
            life.tick()
            costs += [life.probe().cost, life.probe().cost]
    assert sorted(costs)[-3:] == [0, Decimal("0.01"), Decimal("0.01")]
