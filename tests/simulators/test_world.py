"""The truth behind the simulated clouds: it adds up, it is the same at every run, and it happens when it is said to happen."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from types import MappingProxyType

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.server.wire import to_json
from optiinfra_assets.simulators.world.scenario import (
    Charge,
    EventKind,
    Scenario,
    ScenarioEvent,
    ScenarioResource,
)
from optiinfra_assets.simulators.world.world import CENT, SimulatedClock, World

JANUARY, FEBRUARY, MARCH = (BillingPeriod(2026, month) for month in (1, 2, 3))
MACHINE = ScenarioResource(
    "m1",
    "m1",
    service="compute",
    sku="small",
    region="here",
    sub_account="main",
    hourly_price=Decimal("0.10"),
)


def plain(*events: ScenarioEvent, **fields: object) -> Scenario:
    """One machine of 2.40 a day with a few per cent of noise, from January 2026."""
    said: dict[str, object] = {"tax_rate": Decimal(0), "monthly_growth": Decimal(1), **fields}
    return Scenario("plain", date(2026, 1, 1), (MACHINE,), events, **said)  # type: ignore[arg-type]


def at(year: int, month: int, day: int, hour: int = 0) -> datetime:
    return datetime(year, month, day, hour, tzinfo=UTC)


def world(scenario: Scenario, now: datetime) -> World:
    return World(scenario, SimulatedClock(now), CENT)


def total(charges: list[Charge] | None) -> Decimal:
    assert charges is not None
    return sum((charge.amount for charge in charges), Decimal(0))


def test_usage_shows_after_its_day() -> None:
    seen = world(plain(), at(2026, 1, 2, 5))
    assert seen.charges(JANUARY) == []
    assert [charge.day for charge in seen.charges(JANUARY, at(2026, 1, 2, 6))] == [date(2026, 1, 1)]


def test_hours_accrue_to_the_whole_day() -> None:
    seen = world(plain(posting_delay=timedelta(0)), at(2026, 1, 1))
    amounts = [total(seen.accrued(JANUARY, at(2026, 1, 1) + timedelta(hours=hour))) for hour in range(25)]
    assert amounts[0] == 0
    assert amounts == sorted(amounts)
    assert len(set(amounts)) == 25
    assert amounts[24] == total(seen.charges(JANUARY, at(2026, 1, 2)))


def test_an_invoice_holds_what_was_shown_when_it_was_issued() -> None:
    seen = world(plain(), at(2026, 2, 3, 23))
    assert seen.invoice(JANUARY) is None
    invoice = seen.invoice(JANUARY, at(2026, 2, 4))
    assert invoice == seen.charges(JANUARY, at(2026, 2, 4))
    assert len(invoice or []) == 31
    assert seen.invoice(BillingPeriod(2025, 12), at(2026, 2, 4)) is None


def test_tax_is_on_the_invoice_only() -> None:
    seen = world(plain(tax_rate=Decimal("0.2")), at(2026, 2, 3))
    before = total(seen.charges(JANUARY))
    invoice = seen.invoice(JANUARY, at(2026, 2, 4)) or []
    tax = [charge for charge in invoice if charge.kind == "tax"]
    assert [charge.amount for charge in tax] == [(before * Decimal("0.2")).quantize(CENT)]
    assert total(invoice) == before + tax[0].amount


@pytest.mark.parametrize(
    ("currency", "quantum", "smallest"),
    [
        ("EUR", "0.000001", "0.01"),
        ("JPY", "0.000001", "1"),
        ("KWD", "0.000001", "0.001"),
        ("KWD", "0.01", "0.01"),
    ],
)
def test_tax_is_in_whole_coins_of_the_currency(currency: str, quantum: str, smallest: str) -> None:
    """Or in what the cloud bills at least, if that is more."""
    seen = World(plain(tax_rate=Decimal("0.2"), currency=currency), SimulatedClock(at(2026, 2, 4)), Decimal(quantum))
    lines = seen.invoice(JANUARY) or []
    (tax,) = [charge.amount for charge in lines if charge.kind == "tax"]
    before = sum((charge.amount for charge in lines if charge.kind != "tax"), Decimal(0))
    assert tax % Decimal(smallest) == 0
    assert tax % (Decimal(smallest) * 10) != 0
    assert abs(tax - before * Decimal("0.2")) <= Decimal(smallest) / 2


def test_a_credit_on_day_40_for_day_5_stands_on_the_next_invoice() -> None:
    credit = ScenarioEvent(EventKind.CREDIT, date(2026, 1, 5), posted_on=date(2026, 2, 9), amount=Decimal("7.50"))
    seen = world(plain(credit), at(2026, 2, 8, 23))
    assert not [charge for charge in seen.charges(FEBRUARY) if charge.kind == "credit"]
    shown = [charge for charge in seen.charges(FEBRUARY, at(2026, 2, 9)) if charge.kind == "credit"]
    assert [(charge.day, charge.amount, charge.is_correction) for charge in shown] == [
        (date(2026, 1, 5), Decimal("-7.50"), True)
    ]


def test_a_day_restated_before_its_invoice_is_replaced() -> None:
    restated = ScenarioEvent(EventKind.RESTATE, date(2026, 1, 5), posted_on=date(2026, 1, 9), factor=Decimal("0.5"))
    seen = world(plain(restated), at(2026, 1, 8))
    before = [charge.amount for charge in seen.charges(JANUARY) if charge.day.day == 5]
    after = [charge.amount for charge in seen.charges(JANUARY, at(2026, 1, 9)) if charge.day.day == 5]
    assert len(before) == len(after) == 1
    assert abs(after[0] - before[0] / 2) <= CENT


def test_a_day_restated_after_its_invoice_is_corrected_on_the_next() -> None:
    restated = ScenarioEvent(EventKind.RESTATE, date(2026, 1, 5), posted_on=date(2026, 2, 9), factor=Decimal("0.5"))
    seen, without = (world(scenario, at(2026, 3, 4)) for scenario in (plain(restated), plain()))
    assert seen.invoice(JANUARY) == without.invoice(JANUARY)
    correction = [charge for charge in seen.invoice(FEBRUARY) or [] if charge.is_correction]
    assert [charge.day for charge in correction] == [date(2026, 1, 5)]
    assert correction[0].amount < 0
    assert total(seen.invoice(FEBRUARY)) == total(without.invoice(FEBRUARY)) + correction[0].amount


def test_late_usage_moves_to_the_invoice_that_is_still_open() -> None:
    late = ScenarioEvent(EventKind.LATE, date(2026, 1, 30), posted_on=date(2026, 2, 9))
    seen = world(plain(late), at(2026, 3, 4))
    assert len(seen.invoice(JANUARY) or []) == 30
    assert [charge.day for charge in seen.invoice(FEBRUARY) or []][:1] == [date(2026, 1, 30)]


def test_a_spike_a_purchase_and_quiet_weekends() -> None:
    office = replace(MACHINE, weekday_only=True)
    spike = ScenarioEvent(EventKind.SPIKE, date(2026, 1, 14), factor=Decimal(10))
    purchase = ScenarioEvent(EventKind.PURCHASE, date(2026, 1, 3), amount=Decimal(100))
    scenario = replace(plain(spike, purchase), resources=(office,))
    charges = world(scenario, at(2026, 2, 4)).charges(JANUARY)
    of_day = {charge.day.day: charge.amount for charge in charges if charge.kind == "usage"}
    assert of_day[14] > 9 * of_day[13]
    assert of_day[10] < of_day[9] / 2, "the 10th is a Saturday"
    assert [charge.amount for charge in charges if charge.kind == "purchase"] == [Decimal(100)]


def test_capped_hours_make_late_days_free() -> None:
    charges = world(plain(capped_hours=672), at(2026, 2, 4)).charges(JANUARY)
    amounts = [charge.amount for charge in sorted(charges, key=lambda charge: charge.day)]
    assert all(amounts[:28])
    assert amounts[28:] == [0, 0, 0]


def test_only_the_resource_that_is_named_is_concerned() -> None:
    other = replace(MACHINE, resource_id="m2")
    spike = ScenarioEvent(EventKind.SPIKE, date(2026, 1, 14), factor=Decimal(10), resource_id="m2")
    scenario = replace(plain(spike), resources=(MACHINE, other))
    charges = world(scenario, at(2026, 2, 4)).charges(JANUARY)
    large = [charge.resource.resource_id for charge in charges if charge.resource and charge.amount > 20]
    assert large == ["m2"]


def test_the_busy_year_is_always_the_same_and_has_everything() -> None:
    scenario = Scenario.load("busy_year")
    first, second = (world(scenario, at(2026, 11, 10)) for _ in range(2))
    kinds = set()
    for period in first.periods():
        assert first.charges(period) == second.charges(period)
        kinds |= {(charge.kind, charge.is_correction) for charge in first.charges(period)}
    assert {kind for kind, _ in kinds} == {"usage", "purchase", "tax", "credit", "refund"}
    assert ("usage", True) in kinds
    assert ("credit", True) in kinds


def test_the_busy_year_can_begin_on_another_day() -> None:
    scenario = Scenario.load("busy_year")
    moved = scenario.starting(date(2025, 10, 1))
    shift = scenario.start - moved.start
    assert [event.day + shift for event in moved.events] == [event.day for event in scenario.events]
    assert [resource.started and resource.started + shift for resource in moved.resources] == [
        resource.started for resource in scenario.resources
    ]


def test_a_scenario_with_a_typing_error_is_refused() -> None:
    with pytest.raises(ValidationError, match="monthly_grwth"):
        TypeAdapter(Scenario).validate_python({"name": "x", "start": "2026-01-01", "resources": [], "monthly_grwth": 2})


@settings(max_examples=60)
@given(
    shown=st.lists(st.integers(0, 80), min_size=1, max_size=5),
    days=st.lists(st.integers(0, 58), min_size=5, max_size=5),
    kinds=st.lists(st.sampled_from(list(EventKind)), min_size=5, max_size=5),
    invoice_hours=st.integers(0, 100),
)
def test_nothing_is_lost_between_invoices(
    shown: list[int], days: list[int], kinds: list[EventKind], invoice_hours: int
) -> None:
    """Whatever comes late or is restated: all invoices together hold the last word on every day, once."""
    start = date(2026, 1, 1)
    events = tuple(
        ScenarioEvent(
            kind,
            start + timedelta(days=day),
            posted_on=start + timedelta(days=day + later),
            factor=Decimal("0.5"),
            amount=Decimal(3),
        )
        for kind, day, later in zip(kinds, days, shown, strict=False)
    )
    delay = timedelta(hours=invoice_hours)
    seen = world(plain(*events, invoice_delay=delay, posting_delay=timedelta(0)), at(2026, 9, 5))
    at_once = replace(seen.scenario, invoice_delay=timedelta(days=300))
    truth = world(at_once, at(2026, 9, 1))
    invoiced = sum((total(seen.invoice(period)) for period in seen.periods()[:7]), Decimal(0))
    charged = sum((total(truth.charges(period)) for period in truth.periods()[:7]), Decimal(0))
    # The last day of a period whose invoice is issued at its very end is shown at that instant, so it is on it.
    assert invoiced == charged


def test_wire_json_is_exact_and_refuses_floats() -> None:
    value = {"a": [Decimal("1.10"), Decimal("1E-7"), 3, True, None, 'x"y'], "b": {}}
    assert to_json(value) == '{"a":[1.10,0.0000001,3,true,null,"x\\"y"],"b":{}}'
    assert to_json(MappingProxyType(value)) == to_json(value)
    with pytest.raises(TypeError, match="float has no place"):
        to_json(0.1)
