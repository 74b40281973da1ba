"""Whether an answer is complete depends on more than what is published: what is due, and accounts that ended or stand still."""

from __future__ import annotations

import asyncio
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from charges import Charge, slice_of
from exporting import ask
from hypothesis import given
from hypothesis import strategies as st
from world import Customer, World

from optiinfra_api.reading import freshness_cache
from optiinfra_api.reading.freshness_cache import FreshnessCache
from optiinfra_assets.domain.accounts import Account, BillingPeriod, Slice
from optiinfra_assets.domain.freshness import DuePeriods, Freshness

TOTAL = """query($start: Date!, $end: Date!, $provider: [String!], $asOf: DateTime) {
  totalCost(period: {start: $start, end: $end}, filter: {provider: $provider}, asOf: $asOf) { dataThrough isComplete }
}"""
OCTOBER = BillingPeriod(2026, 10)
END = datetime(2026, 11, 1, tzinfo=UTC)


def added(customer: Customer, name: str, period: BillingPeriod = OCTOBER, provider: str = "focus") -> Slice:
    """A slice of a new account that was probed and has nothing due."""
    slice_ = slice_of(customer.customer_id, name, period, provider)
    customer.world.metadata.accounts.add(Account(slice_.account_id, customer.customer_id, provider, {}))
    customer.world.metadata.slices.record_probe(slice_.account_id, {}, datetime.now(UTC))
    return slice_


def published(customer: Customer, slice_: Slice) -> None:
    period = slice_.billing_period
    charge = Charge(period.start.date(), Decimal(7))
    customer.publish(slice_, [charge], data_through=period.end, is_final=True)


def asked(customer: Customer, start: str = "2026-10-01", end: str = "2026-11-01", **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = customer.data(TOTAL, start=start, end=end, **more)["totalCost"]
    return found


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(freshness_cache, "SECONDS", 0.0)


def test_a_month_that_is_still_to_be_collected_is_not_complete(world: World) -> None:
    customer = world.customer()
    slice_ = added(customer, "files")
    seen = {BillingPeriod(2026, month): "a" for month in (5, 9, 10)}
    world.metadata.slices.record_probe(slice_.account_id, seen, datetime.now(UTC))
    published(customer, slice_)
    world.metadata.slices.record_collection(slice_, "a", datetime.now(UTC), generation=1)
    assert asked(customer) == {"dataThrough": "2026-11-01T00:00:00Z", "isComplete": True}
    assert asked(customer, "2026-05-01", "2026-06-01")["isComplete"] is False
    assert asked(customer, "2026-05-31", "2026-06-01")["isComplete"] is False
    assert asked(customer, "2026-06-01", "2026-09-01")["isComplete"] is True
    assert asked(customer, "2026-01-01", "2026-11-01")["isComplete"] is False
    assert asked(customer, "2026-05-01", "2026-06-01", provider=["aws"])["isComplete"] is False
    now = datetime.now(UTC).isoformat()
    assert asked(customer, "2026-05-01", "2026-06-01", asOf=now)["isComplete"] is False
    exported = ask(world, customer.token, "total.csv", [("start", "2026-05-01"), ("end", "2026-06-01")])
    assert exported.headers["X-Is-Complete"] == "false"


def test_a_change_that_was_seen_and_not_collected_is_still_to_come(world: World) -> None:
    customer = world.customer()
    slice_ = added(customer, "files")
    published(customer, slice_)
    world.metadata.slices.record_probe(slice_.account_id, {OCTOBER: "late credit"}, datetime.now(UTC))
    assert asked(customer)["isComplete"] is False
    assert asked(customer, provider=["focus"])["isComplete"] is False
    world.metadata.slices.record_collection(slice_, "late credit", datetime.now(UTC), reached=END)
    assert asked(customer)["isComplete"] is True


def test_what_was_seen_later_changes_nothing_of_what_was_known_before(world: World) -> None:
    customer = world.customer()
    slice_ = added(customer, "files")
    published(customer, slice_)
    before = datetime.now(UTC).isoformat()
    world.metadata.slices.record_probe(slice_.account_id, {OCTOBER: "late credit"}, datetime.now(UTC))
    assert asked(customer, asOf=datetime.now(UTC).isoformat())["isComplete"] is False
    assert asked(customer, asOf=before)["isComplete"] is True


def test_an_account_that_was_never_probed_may_have_anything(world: World) -> None:
    customer = world.customer()
    published(customer, added(customer, "files"))
    world.metadata.accounts.add(Account(f"{customer.customer_id}.new", customer.customer_id, "aws", {}))
    assert asked(customer)["isComplete"] is False
    assert asked(customer, provider=["focus"])["isComplete"] is True


def test_a_deleted_account_holds_nothing_up_and_its_costs_stay(world: World) -> None:
    customer = world.customer()
    old, new = added(customer, "old", BillingPeriod(2026, 3)), added(customer, "new")
    published(customer, old)
    published(customer, new)
    assert asked(customer) == {"dataThrough": "2026-04-01T00:00:00Z", "isComplete": False}
    world.metadata.accounts.disable(old.account_id)
    assert asked(customer) == {"dataThrough": "2026-11-01T00:00:00Z", "isComplete": True}
    assert asked(customer, "2026-03-01", "2026-04-01")["isComplete"] is True


def test_an_account_that_stands_still_reaches_as_far_as_it_was_collected(world: World) -> None:
    customer = world.customer()
    still = added(customer, "still", BillingPeriod(2026, 3))
    published(customer, still)
    published(customer, added(customer, "busy"))
    assert asked(customer)["isComplete"] is False
    now = datetime.now(UTC)
    october = slice_of(customer.customer_id, "still", OCTOBER)
    world.metadata.slices.record_collection(october, "nothing", now, reached=END)
    assert asked(customer) == {"dataThrough": "2026-11-01T00:00:00Z", "isComplete": True}
    nodes = customer.data("{ accounts(first: 5) { nodes { id dataThrough } } }")["accounts"]["nodes"]
    assert {one["dataThrough"] for one in nodes} == {"2026-11-01T00:00:00Z"}


@given(
    months=st.lists(st.integers(1, 12), max_size=3),
    days=st.tuples(st.none() | st.dates(date(2025, 12, 1), date(2027, 1, 31)), st.none() | st.integers(0, 90)),
)
def test_a_due_month_counts_for_the_days_it_has(months: list[int], days: tuple[date | None, int | None]) -> None:
    start, length = days
    end = None if length is None else date.fromordinal((start or date(2026, 6, 1)).toordinal() + length)
    due = DuePeriods("focus", "a", {BillingPeriod(2026, month): END for month in months})
    first, last = start or date(2025, 1, 1), end or date(2028, 1, 1)
    inside = {date.fromordinal(day) for day in range(first.toordinal(), last.toordinal())}
    assert due.is_in(start, end) == any((one.year, one.month) in {(2026, m) for m in months} for one in inside)


def test_the_accounts_are_looked_at_once_for_all_who_ask_within_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(freshness_cache, "SECONDS", 60.0)
    reads: list[str] = []

    async def read(customer_id: str) -> Freshness:
        reads.append(customer_id)
        await asyncio.sleep(0)
        return Freshness(disabled=frozenset({customer_id}))

    async def asking() -> None:
        known = FreshnessCache(read)
        first = await asyncio.gather(*(known.of("a") for _ in range(5)), known.of("b"))
        assert len({id(one) for one in first}) == 2
        assert await known.of("a") is first[0]
        assert sorted(reads) == ["a", "b"]
        monkeypatch.setattr(freshness_cache, "SECONDS", 0.0)
        assert await known.of("a") is first[0], "what says the same is the same object"
        assert sorted(reads) == ["a", "a", "b"]

    asyncio.run(asking())
