"""Anomalies: what is told of, once, and what is not; and what people teach."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from decimal import Decimal

import numpy as np
import pytest

from optiinfra_assets.analytics.anomalies import Judgement, Kind, Taught, judge
from optiinfra_assets.analytics.anomaly_events import AnomalyEvent, folded, merged
from optiinfra_assets.analytics.arrays import Calendar

FIRST = date(2026, 1, 1)
DAYS = 240
CALENDAR = Calendar.starting(FIRST, DAYS)
LEVEL = 100.0


def noisy(seed: int = 1) -> np.ndarray:
    """Return one series around a level, cheaper at weekends."""
    noise = 1 + np.random.default_rng(seed).normal(0, 0.03, (1, DAYS))
    return LEVEL * noise * np.where(CALENDAR.weekday >= 5, 0.6, 1.0)


def replayed(values: np.ndarray, first: int = 140, taught: Taught | None = None) -> list[AnomalyEvent]:
    """Judge each day from day `first` on, from the days before it, as if all series were of one account."""
    events: list[AnomalyEvent] = []
    for day in range(first, values.shape[1]):
        found = judge(
            values[:, : day + 1], CALENDAR[: day + 1], values[:, : day + 1].sum(axis=0)[[-1] * len(values)], taught
        )
        cost = [Decimal(repr(float(amount))) for amount in values[:, day]]
        events = merged(events, FIRST + timedelta(days=day), found, cost)
    return events


def on(day: int) -> date:
    """Return the date of a day."""
    return FIRST + timedelta(days=day)


def test_quiet_days_have_a_band_and_no_alarm() -> None:
    """Every one of them, weekends too."""
    values = noisy()
    assert replayed(values) == []
    found = judge(values, CALENDAR, values[:, -1])
    assert found.lower[0] < found.expected[0] < found.upper[0]
    assert found.expected[0] == pytest.approx(values[0, -1], rel=0.1)


def test_a_step_alarms_once() -> None:
    """On its first day; days until it is the level are the same anomaly."""
    values = noisy()
    values[0, 150:] *= 1.8
    (event,) = replayed(values)
    assert (event.kind, event.first_day) == (Kind.RISE, on(150))
    assert event.last_day < on(157)


def test_a_charge_by_the_month_alarms_never_from_its_third_time_on() -> None:
    """Nor if it grows with the costs beside it, which are told of; the 31st is the last day of a month, and so is 28 February."""
    falls = np.stack([CALENDAR.day_of_month == day for day in (1, 3, 15, 28)] + [CALENDAR.is_last_of_month])
    values = noisy() + 900 * falls
    values[:, 190:] *= 2.5
    third = [int(np.flatnonzero(days)[2]) for days in falls]
    events = replayed(values, first=50)
    assert [(event.series, event.first_day) for event in events if event.first_day >= on(third[event.series])] == [
        (row, on(190)) for row in range(len(falls))
    ]
    in_winter = Calendar.starting(date(2025, 10, 1), DAYS)
    falls = np.stack([in_winter.day_of_month == day for day in (28, 29, 30)])
    values = noisy() + 900 * falls
    of_account = values.sum(axis=0)
    for day in range(90, 180):  # February among them
        found = judge(values[:, : day + 1], in_winter[: day + 1], of_account[[day] * len(falls)])
        assert not found.kind.any(), in_winter.dates[day]


def test_a_leak_is_told_of_and_drift_is_not() -> None:
    """Two percent a day for six weeks; against four percent a month."""
    values = noisy()
    values[0, 120:] *= np.minimum(1.02 ** np.arange(DAYS - 120), 2.3)
    events = replayed(values, first=120)
    assert [event.kind for event in events][:1] == [Kind.LEAK]
    assert events[0].first_day < on(165)
    assert 30 < min(events[0].days.values()) < 150  # counted from the weeks before it
    assert replayed(noisy() * 1.04 ** (np.arange(DAYS) / 30)) == []
    waves = np.exp(0.25 * np.sin(2 * np.pi * np.arange(DAYS) / 90))
    assert replayed(noisy() * waves, first=150) == [], "it rose and fell as much before"


def test_a_new_service_alarms_on_money_once() -> None:
    """Of two that are new on one day, the one that costs more than a twentieth of the account's day."""
    values = np.concatenate([noisy(), np.zeros((2, DAYS))])
    values[1, 200:], values[2, 200:] = 40.0, 0.5
    events = replayed(values, 190)
    assert [(event.series, event.kind, event.first_day, event.excess) for event in events] == [
        (1, Kind.NEW, on(200), Decimal(40))
    ]


def test_four_days_far_below_are_told_of_and_a_late_day_or_a_holiday_is_not() -> None:
    """One low day may be late, three are a holiday; and coming back to the level after days of more is no drop."""
    gone, late, back = noisy(), noisy(), noisy()
    gone[0, 200:] *= 0.2
    late[0, 200:203] *= 0.2
    back[0, 190:200] *= 4
    events = replayed(np.concatenate([gone, late, back]), 185)
    assert [(event.series, event.kind, event.first_day) for event in events] == [
        (2, Kind.RISE, on(190)),
        (0, Kind.DROP, on(203)),
    ]


def test_days_that_are_not_final_never_alarm() -> None:
    """Whatever they have so far; their band is there."""
    values = noisy()
    for part in (0.0, 0.3, 0.8, 5.0):
        values[0, -3:] = LEVEL * part
        found = judge(values, CALENDAR, values[:, -1], is_final=np.array([False]))
        assert found.kind[0] == Kind.NONE
        assert found.upper[0] > found.expected[0] > 0


def test_people_teach() -> None:
    """Planned until a day or up to an amount mutes; false widens the band; a level that is expected from now is one at once."""
    values = noisy()
    values[0, 200:205] *= 1.5
    nothing = Taught.nothing(1)
    assert len(replayed(values[:, :210], 195, nothing)) == 1
    assert replayed(values[:, :210], 195, replace(nothing, planned_until=np.array([np.datetime64(on(204))]))) == []
    assert replayed(values[:, :210], 195, replace(nothing, planned_up_to=np.array([170.0]))) == []
    assert len(replayed(values[:, :210], 195, replace(nothing, planned_up_to=np.array([120.0])))) == 1
    taught = nothing
    for _ in range(3):
        taught = taught.called_false(0, 1.2)
    assert replayed(values[:, :210], 195, taught) == []
    values[0, 200:] = LEVEL * 3 * np.where(CALENDAR.weekday[200:] >= 5, 0.6, 1.0)
    level = replace(nothing, expected_from=np.array([np.datetime64(on(200))]))
    found = judge(values[:, :203], CALENDAR[:203], values[:, 202], level)
    assert found.expected[0] == pytest.approx(values[0, 202], rel=0.1)
    assert found.kind[0] == Kind.NONE


def _found(kinds: list[Kind], expected: float = 10.0) -> Judgement:
    count = len(kinds)
    level = np.full(count, expected)
    return Judgement(level, level, level, np.array(kinds, np.int8), np.zeros(count), level)


def test_days_that_are_judged_again_tell_nobody_twice() -> None:
    """The same verdict leaves the anomaly its name, another amount changes what it cost, and no verdict takes the day away."""
    rise, none = _found([Kind.RISE]), _found([Kind.NONE])
    first = merged([], on(10), rise, [Decimal(30)])
    both = merged(first, on(16), rise, [Decimal(25)])
    assert [(event.first_day, event.last_day, event.excess) for event in both] == [(on(10), on(16), Decimal(35))]
    assert merged(both, on(10), rise, [Decimal(40)])[0].excess == Decimal(45)
    assert [event.first_day for event in merged(both, on(10), none, [Decimal(10)])] == [on(16)]
    assert merged(first, on(10), none, [Decimal(10)]) == []
    assert [event.first_day for event in merged(both, on(24), rise, [Decimal(20)])] == [on(10), on(24)]


def test_children_are_told_of_where_their_parent_shows_them() -> None:
    """Two services of an account that rise are the account's anomaly; one that is offset by savings beside it stays its own."""
    account, one, other, whole = 0, 1, 2, 3
    parents = {one: account, other: account, account: whole}

    def event(series: int, excess: int) -> AnomalyEvent:
        return AnomalyEvent(series, Kind.RISE, {on(5): Decimal(excess)})

    assert folded([event(account, 95), event(one, 60), event(other, 40)], parents) == {1: 0, 2: 0}
    assert folded([event(account, 30), event(one, 60), event(other, 40)], parents) == {}
    assert folded([event(one, 60), event(account, 60), event(whole, 58)], parents) == {0: 2, 1: 2}
