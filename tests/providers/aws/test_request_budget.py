"""A daily budget for paid requests, on the real PostgreSQL: nothing is spent beyond it, by however many processes at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from life import at

from optiinfra_assets.domain.accounts import Account
from optiinfra_assets.domain.errors import Permanent, Throttled
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.readings import SnapshotRepository
from optiinfra_assets.providers.aws.request_budget import DailyRequestBudget
from optiinfra_assets.providers.context import MemorySnapshots, ProviderContext, Snapshot, Snapshots
from optiinfra_assets.simulators.world.world import SimulatedClock

NOON = at(11, 5, 12)
CENT = Decimal("0.01")


def budget(clock: SimulatedClock, snapshots: Snapshots, usd: str) -> DailyRequestBudget:
    context = ProviderContext(clock, snapshots)
    return DailyRequestBudget(price=CENT, within=context.spent, context=context, budget=Decimal(usd), advice="ask less")


def spend_all(one: DailyRequestBudget) -> int:
    """How many requests go through."""
    done = 0
    try:
        while True:
            one.count()
            done += 1
    except Throttled:
        return done


def test_several_processes_spend_one_budget(metadata: Metadata) -> None:
    metadata.customers.add("acme")
    metadata.accounts.add(Account("acme.main", "acme", "focus"))
    clock = SimulatedClock(NOON)

    def process(_: int) -> int:
        return spend_all(budget(clock, SnapshotRepository(metadata, "acme.main", Snapshot), "0.25"))

    with ThreadPoolExecutor(4) as pool:
        assert sum(pool.map(process, range(4))) == 25
    assert process(0) == 0
    clock.advance(hours=12)
    assert process(0) == 25


def test_what_is_spent_is_counted_and_priced() -> None:
    clock = SimulatedClock(NOON)
    one = budget(clock, MemorySnapshots(), "0.029")
    assert one.left(NOON) == 2
    one.count()
    assert (one.requests, one.cost, one.context.spent.cost) == (1, CENT, CENT)
    one.count()
    with pytest.raises(
        Throttled,
        match=r"daily budget of \$0.029 .*: 2 of 2 are made today; .* 2026-11-06 00:00 UTC; ask less",
    ) as said:
        one.count()
    assert said.value.until == at(11, 6)
    assert one.requests == 2


def test_what_cannot_be_finished_is_not_begun() -> None:
    clock, snapshots = SimulatedClock(NOON), MemorySnapshots()
    one = budget(clock, snapshots, "0.10")
    for _ in range(4):
        one.count()
    one.require(6)
    with pytest.raises(Permanent, match=r"takes 11 requests, \$0.11, more than the daily budget of \$0.10: ask less"):
        one.require(7)
    other = budget(clock, snapshots, "0.10")
    other.require(6)
    with pytest.raises(Throttled):
        other.require(7)
    clock.advance(hours=12)
    other.require(7)


@given(st.lists(st.integers(0, 40), max_size=30), st.integers(1, 6))
def test_no_day_has_more_than_its_budget(hours: list[int], allowed: int) -> None:
    clock, snapshots = SimulatedClock(NOON), MemorySnapshots()
    by_day: dict[str, int] = {}
    for wait in hours:
        clock.now += timedelta(hours=wait / 2)
        try:
            budget(clock, snapshots, f"0.0{allowed}").count()
        except Throttled:
            assert by_day[str(clock.now.date())] == allowed
        else:
            day = str(clock.now.date())
            by_day[day] = by_day.get(day, 0) + 1
    assert all(count <= allowed for count in by_day.values())
