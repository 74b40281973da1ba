"""Judges the last day of many series at once: what was to be expected, within which band, and whether what came is odd.

What is expected is the level of the last week times the usual share of the weekday. How far a day may lie off is told by how far the
days of sixteen weeks lay off, in logarithms: by their median, and by the distance that 97 of 100 of them kept, which three days of an
earlier anomaly do not change and holidays do. What recurs by the month is no noise. Nothing is judged that is not final: hand in final
days only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import IntEnum
from typing import Final

import numpy as np
from numpy.typing import NDArray

from optiinfra_assets.analytics.arrays import TINY, Calendar, Flags, Floats, Integers, deviation, mean, median
from optiinfra_assets.analytics.usage_model import WEEK, usual_week

HISTORY: Final = 140
"""So many days before the judged one are looked at."""
SCALE_DAYS: Final = 112
LEAST_AGE: Final = 14
"""Days a series must have to be judged by its own past."""
LEAST_WIDTH: Final = 0.08
"""No band is narrower than 8 % to each side: four times two percent."""
_LOW = 0.5
"""How far a low day counts for the width above what is expected, as a logarithm: a closed day tells little of rises."""
_DROP_DAYS = 4
_CHUNK = 5000


class Kind(IntEnum):
    """What is odd about a day."""

    NONE = 0
    RISE = 1
    """More than the band allows."""
    DROP = 2
    """Four days far below what one and eight weeks let expect: no holiday is as long."""
    LEAK = 3
    """Four weeks cost more than the four before, grew bit by bit, and by more than four weeks moved before them."""
    NEW = 4
    """Money on a series that had none."""


@dataclass(frozen=True)
class Sensitivity:
    """How odd a day has to be. Amounts are in the currency of the series."""

    usual: float = 4.5
    """Robust deviations that a day may lie off."""
    tail: float = 2.0
    """Times the distance that 97 of 100 past days kept, that it may lie off."""
    weekday: float = 2.5
    """Times the second longest distance of the same weekday, that it may lie off: few things happen on Sundays, but some do."""
    least_ratio: float = 0.15
    """A rise is at least so much of what was expected."""
    least_amount: float = 1.0
    """It is at least so much money,"""
    least_share: float = 0.01
    """and so much of the day of the account."""
    new_amount: float = 10.0
    new_share: float = 0.05
    """A new series is told of from so much money on, and so much of the day of the account."""
    drop_ratio: float = 0.5
    leak_ratio: float = 0.2


@dataclass(frozen=True)
class Taught:
    """What people said of each series; one element a series."""

    threshold: Floats
    """The width of the band is taken times this: 1, and more for each alarm that was called false."""
    planned_until: NDArray[np.datetime64]
    """No alarm to this day; NaT for none."""
    planned_up_to: Floats
    """No alarm for days that cost no more; NaN for none."""
    expected_from: NDArray[np.datetime64]
    """The level since this day is right; NaT for none."""

    @classmethod
    def nothing(cls, count: int) -> Taught:
        """Return what is known of series that nobody spoke of."""
        never = np.full(count, np.datetime64("NaT"), "M8[D]")
        return cls(np.ones(count), never, np.full(count, np.nan), never)

    def called_false(self, row: int, score: float) -> Taught:
        """Return the same after an alarm of a series, so many times the width of its band off, was called false: the band gets half as
        wide again, and a little wider than that day was off."""
        threshold = self.threshold.copy()
        threshold[row] *= max(1.5, 1.1 * score)
        return replace(self, threshold=threshold)

    def __getitem__(self, rows: slice) -> Taught:
        return Taught(
            self.threshold[rows], self.planned_until[rows], self.planned_up_to[rows], self.expected_from[rows]
        )


@dataclass(frozen=True)
class Judgement:
    """One day of series; one element a series."""

    expected: Floats
    """NaN, as the band is, where a series is too young."""
    lower: Floats
    upper: Floats
    kind: NDArray[np.int8]
    score: Floats
    """How many times the width of the band a day lies off; 0 where there is none."""
    baseline: Floats
    """What the excess of an alarm is counted from: what was expected; for a leak, what the four weeks before it let expect; nothing for
    a new series."""


def judge(
    values: Floats,
    calendar: Calendar,
    of_account: Floats,
    taught: Taught | None = None,
    sensitivity: Sensitivity = Sensitivity(),
    is_final: Flags | None = None,
) -> Judgement:
    """Judge the last column of series x days. `of_account` is what the account of each series cost on it.

    Earlier columns may begin with zeros or NaN: a series begins with its first cost. Series of which the day is not final in `is_final`
    get their band and no alarm, whatever the day has so far.
    """
    taught = taught or Taught.nothing(len(values))
    values, calendar = values[:, -HISTORY - 1 :], calendar[-HISTORY - 1 :]
    chunks = [
        _judge(values[rows], calendar, of_account[rows], taught[rows], sensitivity)
        for rows in (slice(start, start + _CHUNK) for start in range(0, max(len(values), 1), _CHUNK))
    ]
    found = Judgement(*(np.concatenate([getattr(chunk, one.name) for chunk in chunks]) for one in fields(Judgement)))
    if is_final is None:
        return found
    return replace(found, kind=np.where(is_final, found.kind, np.int8(Kind.NONE)))


def _judge(values: Floats, calendar: Calendar, of_account: Floats, taught: Taught, limits: Sensitivity) -> Judgement:
    values = np.nan_to_num(values)
    begun = np.logical_or.accumulate(values != 0, axis=1)
    age = begun[:, :-1].sum(axis=1)
    today = values[:, -1]
    past = _relevelled(np.where(begun, values, np.nan)[:, :-1], calendar, taught.expected_from)
    floor = np.maximum(limits.least_amount, limits.least_share * np.abs(of_account))
    is_new = _is_new(values, age, of_account, limits)
    if past.shape[1] < LEAST_AGE:
        nothing = np.full(len(values), np.nan)
        kinds = np.where(is_new, Kind.NEW, Kind.NONE).astype(np.int8)
        return _muted(
            Judgement(nothing, nothing, nothing, kinds, np.zeros(len(values)), np.zeros(len(values))),
            today,
            calendar,
            taught,
        )
    profile = usual_week(past)
    share = profile[:, 0]  # the weekday seven days ago is today's
    daily = _without_week(past, profile)
    expected = np.where(age >= LEAST_AGE, np.maximum(_trimmed(daily[:, -WEEK:]) * share, 0.0), np.nan)
    up, down = (width * taught.threshold for width in _widths(daily, calendar, limits))
    upper, lower = expected * np.exp(up), expected * np.exp(-down)
    excess = today - np.nan_to_num(expected)
    off = _log_ratio(today, np.nan_to_num(expected))
    lately = np.nan_to_num(median(daily[:, -2 * WEEK :])) * share
    is_rise = (today > upper) & (excess > floor) & (excess > limits.least_ratio * np.abs(expected))
    is_rise &= (today > lately * np.exp(up)) & ~_came_before(past, daily, profile, calendar, excess)
    is_drop, before_drop = _dropped(values, daily, profile, floor, down, limits)
    is_leak, before_leak = _leaks(daily, floor, limits.leak_ratio * taught.threshold)
    is_leak &= today - before_leak * share > floor  # a day off, in the midst of a leak, is none of its days
    kinds = np.select([is_rise, is_drop, is_leak], [Kind.RISE, Kind.DROP, Kind.LEAK], Kind.NONE)
    baseline = np.select([kinds == Kind.DROP, kinds == Kind.LEAK], [before_drop * share, before_leak * share], expected)
    kinds = np.where(age >= LEAST_AGE, kinds, np.where(is_new, Kind.NEW, Kind.NONE)).astype(np.int8)
    return _muted(
        Judgement(expected, lower, upper, kinds, np.abs(off) / np.where(off > 0, up, down), np.nan_to_num(baseline)),
        today,
        calendar,
        taught,
    )


def _muted(found: Judgement, today: Floats, calendar: Calendar, taught: Taught) -> Judgement:
    """Leave out what people said they plan."""
    is_planned = (taught.planned_until >= calendar.dates[-1]) | (today <= taught.planned_up_to)
    return replace(found, kind=np.where(is_planned, np.int8(Kind.NONE), found.kind))


def _relevelled(past: Floats, calendar: Calendar, since: NDArray[np.datetime64]) -> Floats:
    """Bring the days before a level that somebody expects to that level: noise and the pattern of the week stay known."""
    days, weekday = calendar.dates[:-1], calendar.weekday[:-1]
    for row in np.flatnonzero(~np.isnat(since)):
        before = past[row, days < since[row]]
        usual = (
            [mean(before[weekday[: len(before)] == day][-4:][None])[0] for day in range(WEEK)] if before.size else []
        )
        new = np.flatnonzero(days >= since[row])[-WEEK:]
        known = [past[row, day] / usual[weekday[day]] for day in new if usual and usual[weekday[day]] > TINY]
        if known:
            past[row, days < since[row]] *= np.median(known)
    return past


def _without_week(past: Floats, profile: Floats) -> Floats:
    """Return whole weeks of the past without their pattern; NaN on weekdays that cost next to nothing."""
    count = past.shape[1] // WEEK
    shape = np.tile(profile, (1, count))
    is_usable = np.abs(shape) > 0.1
    return np.where(is_usable, past[:, -WEEK * count :] / np.where(is_usable, shape, 1.0), np.nan)


def _trimmed(days: Floats) -> Floats:
    """Return the mean along the last axis without the highest and the lowest; 0 where nothing is known."""
    known = ~np.isnan(days)
    count = known.sum(axis=-1)
    filled = np.where(known, days, 0.0)
    high = np.where(known, days, -np.inf).max(axis=-1)
    low = np.where(known, days, np.inf).min(axis=-1)
    enough = count > 3
    ends = np.where(enough, high, 0.0) + np.where(enough, low, 0.0)
    total = filled.sum(axis=-1) - ends
    return np.asarray(total / np.maximum(np.where(enough, count - 2, count), 1))


def _log_ratio(values: Floats, expected: Floats) -> Floats:
    """Return the logarithms of values over what was expected, within a factor of 20; 0 where both are nothing."""
    both_none = (np.abs(values) <= TINY) & (np.abs(expected) <= TINY)
    ratio = np.maximum(values, TINY) / np.maximum(expected, TINY)
    return np.where(both_none, 0.0, np.log(np.clip(ratio, 0.05, 20.0)))


def _widths(daily: Floats, calendar: Calendar, limits: Sensitivity) -> tuple[Floats, Floats]:
    """Return how far a day may lie above and below what is expected, as logarithms."""
    count = min(SCALE_DAYS, daily.shape[1] - WEEK)
    recent = daily[:, -count - WEEK :]
    levels = _trimmed(np.lib.stride_tricks.sliding_window_view(recent[:, :-1], WEEK, axis=1))
    off = np.where(np.isnan(recent[:, WEEK:]), np.nan, _log_ratio(recent[:, WEEK:], levels))
    usual = np.nan_to_num(deviation(off))
    noise = np.where(np.isnan(off) | _recurs(off, calendar[-1 - count : -1], 4 * usual), 0.0, off)
    place = int(np.ceil(0.97 * (count - 1)))
    sides = (np.maximum(noise, np.minimum(-noise, _LOW)), np.abs(noise))
    tails = [np.partition(side, place, axis=1)[:, place] for side in sides]
    up, down = (np.maximum(np.maximum(limits.usual * usual, limits.tail * tail), LEAST_WIDTH) for tail in tails)
    same = sides[0][:, -WEEK::-WEEK]
    if same.shape[1] >= 4:  # the second largest: one anomaly on this weekday is no noise
        up = np.maximum(up, limits.weekday * np.partition(same, -2, axis=1)[:, -2])
    return up, down


def _recurs(off: Floats, calendar: Calendar, least: Floats) -> Flags:
    """Tell the days whose excess came around the same day of the month before or after, too: they say nothing of noise."""
    months = calendar.dates.astype("M8[M]")
    recurring = np.zeros(off.shape, dtype=bool)
    stands_out = np.nan_to_num(off) > least[:, None]
    filled = np.pad(np.nan_to_num(off), ((0, 0), (1, 1)))
    around = np.maximum(np.maximum(filled[:, :-2], filled[:, 1:-1]), filled[:, 2:])
    for by in (-1, 1):
        same = np.minimum(
            (months + by).astype("M8[D]") + (calendar.day_of_month - 1), (months + by + 1).astype("M8[D]") - 1
        )
        place = (same - calendar.dates[0]).astype(np.int64)
        inside = (place >= 0) & (place < off.shape[1])
        recurring[:, inside] |= stands_out[:, inside] & (around[:, place[inside]] >= 0.5 * filled[:, 1:-1][:, inside])
    return recurring


def _came_before(past: Floats, daily: Floats, profile: Floats, calendar: Calendar, excess: Floats) -> Flags:
    """Tell whether around this day of the month at least half the excess came in most of the last three months, in money or as a part of
    the level."""
    today = calendar.dates[-1]
    month = today.astype("M8[M]")
    day = int(calendar.day_of_month[-1])
    level_now = np.maximum(_trimmed(daily[:, -WEEK:]), TINY)
    came, seen = np.zeros(len(past), np.int64), np.zeros(len(past), np.int64)
    for back in (1, 2, 3):
        last = (month - back + 1).astype("M8[D]") - 1
        same = min((month - back).astype("M8[D]") + (day - 1), last)
        offset = int((today - same).astype(np.int64))  # columns before today's
        if offset > past.shape[1]:
            break
        end = max(daily.shape[1] - offset + 8, WEEK)
        level = median(daily[:, max(end - 15, 0) : end])
        # What comes on the last day of the month comes on any from the 28th on, and so does what comes on the 29th to 31st.
        reach = int((last - same).astype(np.int64)) if calendar.is_last_of_month[-1] else 0
        days = [place for place in range(-offset - 1, -offset + reach + 2) if -past.shape[1] <= place < 0]
        around = [past[:, place] - level * profile[:, place % WEEK] for place in days]
        known = ~np.isnan(np.stack(around)).all(axis=0)
        seen += known
        most = np.max(np.nan_to_num(np.stack(around)), axis=0)
        came += known & (
            (most >= 0.5 * excess) | (most / np.maximum(np.nan_to_num(level), TINY) >= 0.5 * excess / level_now)
        )
    return np.asarray((came >= 2) & (2 * came > seen))


def _dropped(
    values: Floats, daily: Floats, profile: Floats, floor: Floats, width: Floats, limits: Sensitivity
) -> tuple[Flags, Floats]:
    """Tell whether four days in a row lie far below the level of the week before them and that of eight weeks; and the lower of the
    two."""
    level = np.minimum(
        _trimmed(daily[:, -WEEK - _DROP_DAYS + 1 : 1 - _DROP_DAYS]), np.nan_to_num(median(daily[:, -8 * WEEK :]))
    )
    is_low = np.ones(len(values), dtype=bool)
    for back in range(_DROP_DAYS):
        expected = level * profile[:, -back % WEEK]
        missing = expected - values[:, -1 - back]
        is_low &= (missing > floor) & (missing > np.maximum(limits.drop_ratio, 1 - np.exp(-width)) * expected)
    return is_low, level


def _leaks(daily: Floats, floor: Floats, least: Floats) -> tuple[Flags, Floats]:
    """Tell whether four weeks cost more than the four before by `least`, and week by week: a step is none; and the level of those
    before. What rises with the season has moved as much before."""
    if daily.shape[1] < 2 * 4 * WEEK:
        return np.zeros(len(daily), dtype=bool), np.zeros(len(daily))
    weeks = median(daily.reshape(len(daily), -1, WEEK))
    moved = _moved(weeks[:, :-8])
    weeks = np.nan_to_num(weeks[:, -8:])
    before, after = weeks[:, :4].mean(axis=1), weeks[:, 4:].mean(axis=1)
    changes = np.diff(weeks, axis=1)
    rise = weeks[:, -1] - weeks[:, 0]
    is_gradual = (changes.max(axis=1) <= 0.5 * rise) & ((changes > 0).sum(axis=1) >= 6)
    is_more = (_log_ratio(after, before) > np.maximum(np.log1p(least), 1.5 * moved)) & (before > TINY)
    is_more &= after - before > floor
    return is_gradual & is_more, before


def _moved(weeks: Floats) -> Floats:
    """Return how far four weeks were off the four before them at most, as a logarithm: at most a half of the level, so that a step hides
    no leak that is as steep."""
    if weeks.shape[1] < 8:
        return np.zeros(len(weeks))
    months = np.nan_to_num(np.lib.stride_tricks.sliding_window_view(weeks, 4, axis=1).mean(axis=2))
    return np.asarray(np.minimum(np.abs(_log_ratio(months[:, 4:], months[:, :-4])).max(axis=1), np.log(1.5)))


def _is_new(values: Floats, age: Integers, of_account: Floats, limits: Sensitivity) -> Flags:
    """Tell whether a young series costs enough to be told of for the first time."""
    least = np.maximum(limits.new_amount, limits.new_share * np.abs(of_account))
    return np.asarray((age < LEAST_AGE) & (values[:, -1] >= least) & ~(values[:, :-1] >= least[:, None]).any(axis=1))
