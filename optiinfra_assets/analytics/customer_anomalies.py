"""Judges the days of all series of a customer, one after the other, and keeps the anomalies that are known the same."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, timedelta
from decimal import Decimal
from typing import Final

import numpy as np

from optiinfra_assets.analytics.anomalies import HISTORY, Judgement, Kind, Taught, judge
from optiinfra_assets.analytics.anomaly_events import WITHIN_DAYS, AnomalyEvent, merged
from optiinfra_assets.analytics.expectations import Expectations
from optiinfra_assets.analytics.usage_series import UsageSeries
from optiinfra_assets.domain.anomalies import (
    AnomalyDay,
    AnomalyStatus,
    StateChange,
    StoredAnomaly,
    anomaly_id,
)
from optiinfra_assets.domain.subunits import decimal_places

JUDGED_DAYS: Final = 62
"""So many days back are judged, and again if what they cost has changed."""
HISTORY_DAYS: Final = JUDGED_DAYS + HISTORY + 8
"""So many days before today are needed for that: a day may be final a week late."""
_LEAK_DAYS: Final = slice(-56, -28)
"""What a leak is measured by: the four weeks before those that cost more."""


@dataclass(frozen=True)
class NamedEvent(AnomalyEvent):
    """Odd days of a series that are known by an id."""

    anomaly_id: str = ""
    expected: Mapping[date, Decimal] = field(default_factory=dict)
    """What was expected of each of its days."""
    score: float = 0.0


@dataclass(frozen=True)
class JudgedDays:
    """What was found: expectations of the days that were judged, and all anomalies of series that are there."""

    days: Mapping[date, Expectations]
    events: Sequence[NamedEvent]


def first_changed(usage: UsageSeries, kept: Mapping[date, Expectations]) -> date | None:
    """Return the first day of the last `JUDGED_DAYS` that was not judged yet, or has changed since; None: there is none."""
    last = usage.last_final
    if last is None:
        return None
    days = [last - timedelta(days=back) for back in range(JUDGED_DAYS - 1, -1, -1)]
    for day in days:
        column = usage.column(day)
        if column < 0 or not usage.values[:, : column + 1].any():
            continue
        found = kept.get(day)
        if found is None or not found.says_the_same(usage.keys, usage.values[:, column], _is_final(usage, day)):
            return day
    return None


def judge_days(
    customer_id: str,
    usage: UsageSeries,
    since: date | None,
    known: Sequence[StoredAnomaly],
    states: Iterable[StateChange],
) -> JudgedDays:
    """Judge the days from `since` to the last final one (None: none), each by the days before it and what was said until then.

    Args:
        known: all anomalies of the customer, those that are gone too.
        states: the last state of each.
    """
    ends = _ends(known)
    events: list[AnomalyEvent] = [
        replace(_named(usage, one), ends_before=ends[one.anomaly_id])
        for one in known
        if not one.is_gone and one.series in usage.places
    ]
    last, judged = usage.last_final, {}
    taught = _lessons(usage, known, states)
    while since is not None and last is not None and since <= last:
        column = usage.column(since)
        past, calendar = usage.values[:, : column + 1], usage.calendar[: column + 1]
        today, is_final = usage.values[:, column], _is_final(usage, since)
        found = judge(past, calendar, today[usage.accounts], taught(since), is_final=is_final)
        judged[since] = Expectations.of(usage.keys, today, found, is_final)
        events = _with_day(events, usage, since, _by_four_weeks(found, past))
        since += timedelta(days=1)
    return JudgedDays(judged, _identified(customer_id, usage, events, known, ends))


def _is_final(usage: UsageSeries, day: date) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.asarray(~np.isnat(usage.through) & (usage.through >= np.datetime64(day, "D")))


def _by_four_weeks(found: Judgement, past: np.ndarray[tuple[int, int], np.dtype[np.float64]]) -> Judgement:
    """Measure leaks by what four weeks cost before: the week before is leaking too."""
    is_leak = found.kind == Kind.LEAK
    before = past[:, :-1][:, _LEAK_DAYS].mean(axis=1) if past.shape[1] > -_LEAK_DAYS.start else found.expected
    return replace(found, expected=np.where(is_leak, before, found.expected))


def _with_day(events: list[AnomalyEvent], usage: UsageSeries, day: date, found: Judgement) -> list[AnomalyEvent]:
    """Return the anomalies after a day was judged, each with what was expected of its days."""
    costs = [Decimal(repr(float(cost))) for cost in usage.values[:, usage.column(day)]]
    result = []
    for event in merged(events, day, found, costs):
        if day in event.days and found.kind[event.series] != Kind.NONE:
            digits = decimal_places(usage.keys[event.series].currency)
            amount = float(np.nan_to_num(found.expected[event.series]))
            expected = Decimal(repr(amount)).quantize(Decimal(1).scaleb(-digits))
            before = event if isinstance(event, NamedEvent) else NamedEvent(event.series, event.kind, event.days)
            score = max(before.score, float(found.score[event.series]))
            event = replace(before, expected={**before.expected, day: expected}, score=score)
        result.append(event)
    return result


def _named(usage: UsageSeries, one: StoredAnomaly) -> NamedEvent:
    days = {day: amounts.excess for day, amounts in one.days.items()}
    expected = {day: amounts.expected for day, amounts in one.days.items()}
    return NamedEvent(
        usage.places[one.series], Kind[one.kind], days, anomaly_id=one.anomaly_id, expected=expected, score=one.score
    )


def _ends(known: Sequence[StoredAnomaly]) -> dict[str, date]:
    """Return for each anomaly the first day that is told again if it is odd, since somebody has an answer to the days before it.

    An answer to the anomaly of an account is one to those that are folded into it.
    """
    own = {one.anomaly_id: one.ends_before for one in known}
    return {
        one.anomaly_id: max(
            min(own[one.anomaly_id], own.get(one.folded_into or "", date.max)), one.last_day + timedelta(days=1)
        )
        for one in known
    }


def _identified(
    customer_id: str,
    usage: UsageSeries,
    events: Iterable[AnomalyEvent],
    known: Sequence[StoredAnomaly],
    ends: Mapping[str, date],
) -> list[NamedEvent]:
    """Give each new anomaly its id: that of one of its series within a week that is not there any more, else a new one."""
    found = [event for event in events if isinstance(event, NamedEvent)]
    taken = {event.anomaly_id for event in found}
    free: dict[int, list[StoredAnomaly]] = {}
    for one in known:
        if one.anomaly_id not in taken and one.series in usage.places:
            free.setdefault(usage.places[one.series], []).append(one)
    result = []
    for event in found:
        if not event.anomaly_id:
            earlier = next(
                (
                    one
                    for one in free.get(event.series, [])
                    if event.first_day < ends[one.anomaly_id] and _is_near(one, event)
                ),
                None,
            )
            if earlier is not None:
                free[event.series].remove(earlier)
            new = anomaly_id(customer_id, usage.keys[event.series], event.first_day)
            event = replace(event, anomaly_id=earlier.anomaly_id if earlier else new)
        result.append(event)
    return result


def _is_near(one: StoredAnomaly, event: AnomalyEvent) -> bool:
    return any(abs((day - other).days) <= WITHIN_DAYS for day in one.days for other in event.days)


def _lessons(
    usage: UsageSeries, known: Sequence[StoredAnomaly], states: Iterable[StateChange]
) -> Callable[[date], Taught]:
    """Return what tells what people had said of each series that a day is judged by.

    What is said of an anomaly is said of those that are folded into it too.
    """
    own = {one.anomaly_id: one.series for one in known}
    told: dict[str, list[StoredAnomaly]] = {}
    for one in known:
        told.setdefault(one.anomaly_id, []).append(one)
        if one.folded_into is not None:
            told.setdefault(one.folded_into, []).append(one)
    said = [
        (state, usage.places[own[state.anomaly_id]], usage.places[one.series], one)
        for state in sorted(states, key=lambda one: one.set_at)
        for one in told.get(state.anomaly_id, [])
        if one.series in usage.places and own.get(state.anomaly_id) in usage.places
    ]

    def on(day: date) -> Taught:
        taught = Taught.nothing(len(usage.keys))
        for state, of, place, one in said:
            if state.from_day > day:
                continue
            if state.state is AnomalyStatus.FALSE:
                taught = taught.called_false(place, one.score)
            elif state.state is AnomalyStatus.EXPECTED:
                taught.expected_from[place] = np.datetime64(one.first_day, "D")
            elif state.plans(day, float(usage.values[of, usage.column(day)])):
                taught.planned_until[place] = np.datetime64(day, "D")
        return taught

    return on


def exact_days(event: NamedEvent, costs: Mapping[date, Decimal]) -> dict[date, AnomalyDay]:
    """Return the days of an anomaly with what they cost to the last digit."""
    return {day: AnomalyDay(costs.get(day, Decimal(0)), event.expected[day]) for day in sorted(event.days)}
