"""Forecasts: what adds up, what recurs, what is left out, and what is said where little is known."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from optiinfra_assets.analytics import forecast as forecasting
from optiinfra_assets.analytics.bounds import bounds
from optiinfra_assets.analytics.charge_parts import CostPart, RecurringCharges, part_of
from optiinfra_assets.analytics.cost_history import Charges, CostHistory, Method
from optiinfra_assets.analytics.forecast import Forecast, Override, forecast, usual_spans
from optiinfra_assets.domain.day_span import DaySpan

FIRST = date(2025, 9, 1)
THROUGH = date(2026, 3, 31)
DAYS = (THROUGH - FIRST).days + 1
SPANS = usual_spans(date(2026, 4, 1), THROUGH)
CALENDAR = [FIRST + timedelta(days=index) for index in range(DAYS)]


def noisy(level: float = 100.0, days: int = DAYS, seed: int = 1, size: float = 0.03) -> np.ndarray:
    """Return one series of costs around a level."""
    return level * (1 + np.random.default_rng(seed).normal(0, size, (1, days)))


def on_day(day: int, amount: float) -> np.ndarray:
    """Return one series with an amount on a day of each month."""
    return np.array([[amount * (one.day == day) for one in CALENDAR]])


def recurring(entries: list[tuple[date, float]], until: date | None = None) -> RecurringCharges:
    """Return the charges of one commitment of the first series."""
    days, amounts = zip(*entries, strict=True)
    zeros = np.zeros(len(days), np.int64)
    ends = np.full(len(days), np.datetime64(until or "NaT"), "M8[D]")
    return RecurringCharges(zeros, zeros, np.array(days, "M8[D]"), np.array(amounts), ends)


def dates_of(found: Forecast, part: CostPart, over: float) -> list[date]:
    """Return the days on which a part of the first series is over an amount."""
    return [day.item() for day in found.days.dates[found.parts[part][0] > over * 100]]


@settings(max_examples=20, deadline=None)
@given(
    arrays.arrays(np.float64, st.tuples(st.integers(2, 5), st.integers(1, 120)), elements=st.floats(0, 1e6)),
    st.integers(0, 3),
)
def test_children_add_up_to_parents_and_days_to_totals(amounts: np.ndarray, digits: int) -> None:
    """To the subunit, whatever it is, for every span and part."""
    through = FIRST + timedelta(days=amounts.shape[1] - 1)
    rows = np.arange(len(amounts))
    found = forecast(CostHistory.of_daily(FIRST, amounts), usual_spans(through, through), [rows], digits=digits)
    for name, total in found.totals.items():
        children = [found.total(name, row, after_credits=True) for row in rows]
        assert sum(children) == found.total(name, len(rows), after_credits=True)
        assert all(child.as_tuple().exponent == -digits for child in children)
        start, end = (
            int((np.datetime64(day) - found.days.dates[0]).astype(int)) for day in (total.span.start, total.span.end)
        )
        assert (found.parts[CostPart.USAGE][:, start:end].sum(axis=1) == total.parts[CostPart.USAGE]).all()


@pytest.mark.parametrize("level", [2.5e12, 4e13, 6e15])
def test_amounts_of_small_units_add_up_beyond_64_bits(level: float) -> None:
    """A hundred series of a year: 100 days pass what 64 bits hold. What a person expects is met to the subunit all the same."""
    usage = np.repeat(noisy(level), 100, axis=0) * np.linspace(0.5, 1.5, 100)[:, None]
    rows, april, amount = np.arange(100), date(2026, 4, 1), Decimal(round(level * 3000)) + Decimal("0.07")
    spans = SPANS | {"april": DaySpan(april, date(2026, 5, 1))}
    found = forecast(CostHistory.of_daily(FIRST, usage), spans, [rows], overrides=[Override(rows, april, amount)])
    assert found.total("april", 100) == amount
    for name in spans:
        assert sum(found.total(name, row) for row in rows) == found.total(name, 100)
    assert float(found.total("12 months", 100)) == pytest.approx(level * 36500, rel=0.2)
    assert found.bounds("12 months", 100)[0] is not None


@pytest.mark.parametrize("is_named", [True, False])
def test_a_support_fee_on_the_third_comes_on_every_later_third(is_named: bool) -> None:
    """Whether columns tell it or the pattern of the months does."""
    usage, fee = noisy(), on_day(3, 500.0)
    history = CostHistory.of_daily(FIRST, usage if is_named else usage + fee)
    if is_named:
        history = replace(history, support=fee)
    found = forecast(history, SPANS)
    thirds = [day.item() for day in found.days.dates if day.item().day == 3]
    assert dates_of(found, CostPart.SUPPORT if is_named else CostPart.USAGE, 400.0) == thirds
    assert len(thirds) == 12


@pytest.mark.parametrize("day", [DAYS - 1, DAYS - 3, DAYS - 40])
def test_a_purchase_that_came_once_changes_next_month_by_less_than_a_hundredth(day: int) -> None:
    """No column tells it apart here; where one does, it is left out of what is forecast."""
    usage = noisy()
    once = usage.copy()
    once[0, day] += 50_000
    plain, changed = (forecast(CostHistory.of_daily(FIRST, one), SPANS).total("next month", 0) for one in (usage, once))
    assert abs(changed / plain - 1) < Decimal("0.01")


def test_a_cheaper_price_is_in_within_two_weeks() -> None:
    """And a step up is."""
    for factor in (0.7, 1.6):
        usage = noisy()
        usage[0, -14:] *= factor
        total = forecast(CostHistory.of_daily(FIRST, usage), {"30": DaySpan(date(2026, 4, 1), date(2026, 5, 1))}).total(
            "30", 0
        )
        assert float(total) == pytest.approx(3000 * factor, rel=0.04)


@pytest.mark.parametrize("days", [7, 10, 14])
def test_a_new_level_is_no_row_of_single_days(days: int) -> None:
    """Whatever weekends cost, and though some of its days stand out less than others."""
    span = DaySpan(date(2026, 4, 1), date(2026, 4, 29))
    for seed in (1, 9, 12, 24, 33, 44):
        random = np.random.default_rng(seed)
        week = np.where(np.arange(DAYS + 28) % 7 >= 5, random.uniform(0.3, 1), 1.0)
        usage = 100 * week[:DAYS] * (1 + random.normal(0, random.choice([0.02, 0.05, 0.08]), DAYS))
        usage[-days:] *= 1.5
        total = forecast(CostHistory.of_daily(FIRST, usage[None]), {"four weeks": span}).total("four weeks", 0)
        assert float(total) == pytest.approx(150 * week[DAYS:].sum(), rel=0.1), seed


def test_days_that_are_not_final_change_nothing() -> None:
    """Not even a value that is no number."""
    usage = np.concatenate([noisy(), np.full((1, 5), np.nan)], axis=1)
    less, more = (CostHistory.of_daily(FIRST, one, THROUGH) for one in (usage[:, :DAYS], usage))
    one, other = forecast(less, SPANS), forecast(more, SPANS)
    assert (one.parts[CostPart.USAGE] == other.parts[CostPart.USAGE]).all()
    assert np.array_equal(one.half, other.half)


def test_little_is_said_of_little() -> None:
    """Ten days give their mean and no bounds; no day gives nothing. Both say so."""
    ten = noisy(days=10)
    history = CostHistory.of_daily(FIRST, np.concatenate([ten, ten]))
    history.through[1] = np.datetime64("NaT")
    through = FIRST + timedelta(days=9)
    found = forecast(history, usual_spans(through, through), [np.arange(2)])
    assert list(found.methods) == [Method.RUN_RATE, Method.NONE, Method.RUN_RATE]
    assert float(found.total("90 days", 0)) == pytest.approx(ten.mean() * 90, abs=0.01)
    assert found.total("90 days", 1) == 0
    assert found.bounds("90 days", 0) == [None, None]


def test_a_commitment_ends_when_it_ends_and_when_it_did_not_come() -> None:
    """A fee by the month ends with its commitment; one that was due twelve days ago and did not come is gone; a daily one goes on."""
    usage = CostHistory.of_daily(FIRST, noisy())
    monthly = [(date(2025, 9 + index, 20) if index < 4 else date(2026, index - 3, 20), 300.0) for index in range(7)]
    ending = forecast(replace(usage, recurring=recurring(monthly, until=date(2026, 6, 20))), SPANS)
    assert dates_of(ending, CostPart.RECURRING, 0) == [date(2026, 4, 20), date(2026, 5, 20)]
    assert dates_of(forecast(replace(usage, recurring=recurring(monthly[:-1])), SPANS), CostPart.RECURRING, 0) == []
    daily = forecast(replace(usage, recurring=recurring([(day, 24.0) for day in CALENDAR])), SPANS)
    assert daily.amount(daily.totals["90 days"].parts[CostPart.RECURRING][0]) == 90 * 24


def test_a_fee_of_the_last_day_stays_on_the_last_day() -> None:
    """Months have 28 to 31."""
    ends = [(day, 10.0) for day in CALENDAR if (day + timedelta(days=1)).day == 1]
    found = forecast(replace(CostHistory.of_daily(FIRST, noisy()), recurring=recurring(ends)), SPANS)
    assert all((day + timedelta(days=1)).day == 1 for day in dates_of(found, CostPart.RECURRING, 0))
    assert len(dates_of(found, CostPart.RECURRING, 0)) == 12


def test_credits_run_down_and_tax_follows_its_base() -> None:
    """Costs after credits come back to costs before them when what is left is used up."""
    usage = np.full((1, DAYS), 100.0)
    history = replace(
        CostHistory.of_daily(FIRST, usage), tax=usage * 0.19, credits=-usage, credits_left=np.array([2000.0])
    )
    found = forecast(history, SPANS)
    assert found.total("90 days", 0) == Decimal("10710.00")
    assert found.total("90 days", 0, after_credits=True) == Decimal("8710.00")
    unknown = forecast(replace(history, credits_left=np.array([np.nan])), SPANS)
    assert unknown.total("90 days", 0, after_credits=True) == Decimal("1710.00")


def test_a_person_expects_another_month() -> None:
    """An amount is met to the subunit, with what is spent; a factor doubles; other months stay."""
    usage = np.concatenate([noisy(), noisy(seed=2)])
    history = CostHistory.of_daily(FIRST, usage)
    rows, april, may = np.arange(2), date(2026, 4, 1), date(2026, 5, 1)
    spans = {"april": DaySpan(april, may), "may": DaySpan(may, date(2026, 6, 1))}
    plain = forecast(history, spans, [rows])
    changed = forecast(history, spans, [rows], overrides=[Override(rows, april, amount=Decimal("12345.67"))])
    assert changed.total("april", 2) == Decimal("12345.67")
    assert abs(changed.total("may", 2) - plain.total("may", 2)) <= Decimal("0.02")
    doubled = forecast(history, spans, [rows], overrides=[Override(np.array([0]), may, factor=Decimal(2))])
    assert float(doubled.total("may", 0)) == pytest.approx(2 * float(plain.total("may", 0)), abs=0.02)
    assert doubled.total("may", 1) == plain.total("may", 1)


@pytest.mark.parametrize(
    ("category", "frequency", "charge_class", "service", "expected"),
    [
        ("Usage", "Usage-Based", None, "Compute", CostPart.USAGE),
        ("Usage", None, None, "Compute", CostPart.USAGE),
        ("Usage", "Recurring", None, "Compute", CostPart.RECURRING),
        ("Purchase", "Recurring", None, "Compute", CostPart.RECURRING),
        ("Purchase", "One-Time", None, "Compute", None),
        ("Usage", "One-Time", None, "Compute", None),
        ("Usage", "Usage-Based", "Correction", "Compute", None),
        ("Adjustment", None, None, "Compute", None),
        ("Tax", "One-Time", None, "Compute", CostPart.TAX),
        ("Credit", "One-Time", None, "Compute", CostPart.CREDITS),
        ("Purchase", "Recurring", None, "Developer Support", CostPart.SUPPORT),
    ],
)
def test_columns_tell_the_part(
    category: str, frequency: str | None, charge_class: str | None, service: str, expected: CostPart | None
) -> None:
    """FOCUS 1.4's columns, where they are given."""
    assert part_of(category, frequency, charge_class, service) == expected


def test_charges_are_arranged_by_their_columns() -> None:
    """Two series that are final to different days: what each part gets, what came once is in none, and children still add up."""
    rows = [("Usage", "Usage-Based", day, row, 10.0) for day in CALENDAR for row in (0, 1)]
    rows += [("Tax", None, day, 0, 1.9) for day in CALENDAR]
    rows += [("Purchase", "Recurring", day, 1, 5.0) for day in CALENDAR]
    rows += [("Purchase", "One-Time", THROUGH, 1, 50_000.0)]
    category, frequency, day, series, amount = zip(*rows, strict=True)
    charges = Charges(
        np.array(series),
        np.array(day, "M8[D]"),
        np.array([part_of(*columns, None) or "" for columns in zip(category, frequency, strict=True)]),
        np.array(amount),
        np.array(series),
        np.full(len(rows), np.datetime64("NaT"), "M8[D]"),
    )
    late = THROUGH - timedelta(days=2)
    history = CostHistory.of_charges(FIRST, np.array([THROUGH, late], "M8[D]"), charges)
    assert [one.sum() for one in (history.usage, history.tax, history.support)] == pytest.approx(
        [20 * DAYS, 1.9 * DAYS, 0]
    )
    found = forecast(history, usual_spans(date(2026, 4, 1), late), [np.arange(2)])
    assert [found.total("next month", node) for node in range(3)] == [
        Decimal(f"{31 * day:.2f}") for day in (11.9, 15, 26.9)
    ]
    march = found.days.dates < np.datetime64("2026-04-01")
    assert [found.parts[CostPart.USAGE][row, march].sum() for row in range(2)] == [0, 2 * 1000]


def test_bounds_hold_as_often_as_they_say() -> None:
    """On fifty series of noise, and a sum's bound is narrower than the sum of its days' bounds."""
    usage = np.concatenate([noisy(seed=seed, size=0.1) for seed in range(50)])
    past, month = usage[:, :181], DaySpan(date(2026, 3, 1), date(2026, 4, 1))
    found = forecast(CostHistory.of_daily(FIRST, past), {"month": month})
    missed = np.abs(found.totals["month"].parts[CostPart.USAGE] / 100 - usage[:, 181:].sum(axis=1))
    assert 0.6 <= np.mean(missed <= found.totals["month"].half[:, 0]) <= 0.95
    assert np.mean(missed <= found.totals["month"].half[:, 1]) >= 0.88
    assert 0.7 <= found.totals["month"].covered_of_all[0] <= 0.9
    assert (found.totals["month"].half < found.half.sum(axis=1)).all()


@pytest.mark.parametrize("left", [0.0, 1e-9, 0.1])
def test_a_service_that_ended_or_all_but_ended_tells_nothing_of_the_bounds_of_others(left: float) -> None:
    """Its errors of before are endlessly large beside the nothing, or next to nothing, that it costs now."""
    errors = np.random.default_rng(3).normal(0, 5, (20, 12))
    errors[:3] *= 20
    level = np.where(np.arange(20) < 3, left, 100.0)
    alone = bounds(errors[3:], level[3:], 17).half
    assert bounds(errors, level, 20).half[3:] == pytest.approx(alone, rel=0.2)


def test_bounds_know_how_errors_of_a_row_are_spread() -> None:
    """Accounts err a little each month, where their services err seldom and far: what holds for services alone held 60 of 100."""
    random = np.random.default_rng(5)
    services = random.normal(0, 1, (60, 13)) * np.where(random.random((60, 13)) < 0.15, 30, 1)
    accounts = random.normal(0, 5, (400, 13))
    errors = np.concatenate([services, accounts])
    half = bounds(errors[:, 1:], np.full(len(errors), 100.0), len(services)).half
    held = np.mean(np.abs(errors[60:, :1]) <= half[60:], axis=0)
    assert 0.75 <= held[0] <= 0.9
    assert held[1] >= 0.92


def test_costs_that_jump_are_told_by_their_mean() -> None:
    """Batches on a day in three: the median of them is far below what a month costs."""
    random = np.random.default_rng(8)
    usage = np.where(
        random.random((20, DAYS)) < 0.35, random.exponential(100, (20, DAYS)), random.uniform(0, 10, (20, DAYS))
    )
    found = forecast(CostHistory.of_daily(FIRST, usage), {"month": DaySpan(date(2026, 4, 1), date(2026, 5, 1))})
    told = sum(float(found.total("month", row)) for row in range(20))
    assert told == pytest.approx(30 * usage[:, -28:].sum() / 28, rel=0.1)


def test_what_is_charged_on_few_days_is_told_by_twelve_weeks() -> None:
    """Of products that sell on a fifth of the days, four weeks hold too few sales to tell a month."""
    random = np.random.default_rng(4)
    sales = (random.random((50, DAYS)) < 0.2) * random.lognormal(4, 1, (50, DAYS))
    found = forecast(CostHistory.of_daily(FIRST, sales, THROUGH), SPANS)
    told = np.array([float(found.total("next month", row)) for row in range(50)])
    twelve, four = (sales[:, -days:].mean(axis=1) * 31 for days in (84, 28))
    assert np.abs(told - twelve).mean() < np.abs(four - twelve).mean() / 3


@pytest.mark.parametrize("open_again", [0, 10])
def test_what_was_closed_for_a_while_is_not_charged_on_few_days(open_again: int) -> None:
    """It is expected to stay closed; or, once it has been opened again, to cost what it costs now."""
    shop = noisy()
    shop[:, DAYS - 75 : DAYS - open_again] = 0.0
    found = forecast(CostHistory.of_daily(FIRST, shop, THROUGH), SPANS)
    expected = float(found.total("next month", 0))
    assert expected == 0 if not open_again else expected > 2000


def test_bounds_of_days_are_made_when_somebody_asks(monkeypatch: pytest.MonkeyPatch) -> None:
    """They take ten times what those of totals do, and a budget asks for totals only."""
    asked, of_days = [], forecasting._of_days

    def counted(*given: Any) -> Any:
        asked.append(1)
        return of_days(*given)

    monkeypatch.setattr(forecasting, "_of_days", counted)
    found = forecast(CostHistory.of_daily(FIRST, noisy()), SPANS)
    assert found.bounds("next month", 0)[0] is not None
    assert not asked
    assert found.half is found.half
    assert len(asked) == 1
