"""Takes out of daily costs what a day of the month brings again, and what came once: the blind split, for costs whose columns tell
neither."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from optiinfra_assets.analytics.arrays import TINY, Calendar, Flags, Floats, Integers, centred_median, deviation, median

WINDOW = 190
"""So many days back are looked at: six months."""
_SEEN = 3
"""An excess that came once is no larger than so many others, to be one of those that come from time to time."""
LAST_DAY = 0
"""The place of the last day of a month among its days."""


@dataclass(frozen=True)
class MonthDaySplit:
    """Daily costs without what recurs by the month and what came once, and the schedule of the former."""

    rest: Floats
    """Series x days; NaN before a series begins."""
    with_single_days: Floats
    """The same with what came once, in so far as such days came before: days of little use (holidays) are kept, and of an excess half
    of what was expected, or as much as the fourth largest had."""
    schedule: Floats
    """Series x 32: what comes on each day of a month beside the rest; place 0 is the last day of the month."""

    def scheduled(self, calendar: Calendar) -> Floats:
        """Return series x days: what the schedule brings on each day."""
        by_day = self.schedule[:, calendar.day_of_month]
        return by_day + np.where(calendar.is_last_of_month, self.schedule[:, LAST_DAY, None], 0.0)


def expected_of_neighbours(values: Floats, weekday: Integers) -> Floats:
    """Return what the two weeks around each day and its weekday let expect."""
    level = centred_median(values, 15)
    has_cost = np.abs(level) > TINY
    ratio = np.where(has_cost, values / np.where(has_cost, level, 1.0), np.nan)
    usual = np.ones(values.shape)
    for day in range(7):
        usual[:, weekday == day] = np.nan_to_num(median(ratio[:, weekday == day]), nan=1.0)[:, None]
    return np.asarray(level * usual)


def split(values: Floats, calendar: Calendar) -> MonthDaySplit:
    """Split series x days. NaN stands before a series begins. At most the last `WINDOW` days are looked at and returned."""
    values, calendar = values[:, -WINDOW:], calendar[-WINDOW:]
    expected = expected_of_neighbours(values, calendar.weekday)
    excess = values - expected
    spread = np.maximum(deviation(excess), 0.005 * np.nan_to_num(median(np.abs(values))))
    schedule = np.zeros((len(values), 32))
    rest = values.copy()
    by_month = _by_month(calendar)
    for place in (LAST_DAY, *range(1, 32)):
        days = by_month[place]
        if len(days) < 2:
            continue
        left = rest[:, days] - expected[:, days]
        amount = _recurring(left, spread, np.nan_to_num(np.abs(expected[:, days[-1]])))
        came = (amount != 0)[:, None] & (np.sign(left) == np.sign(amount)[:, None]) & _stands_out(left, spread)
        rest[:, days] = np.where(came, expected[:, days], rest[:, days])
        schedule[:, place] = amount
    single = _single_days(rest, expected, spread)
    excess = np.where(single, rest - expected, 0.0)
    usual = np.partition(excess, -_SEEN - 1, axis=1)[:, -_SEEN - 1, None] if excess.shape[1] > _SEEN else 0.0
    kept = np.where(single, expected + np.minimum(excess, np.maximum(np.abs(expected) / 2, usual)), rest)
    return MonthDaySplit(np.where(single, expected, rest), kept, schedule)


def _by_month(calendar: Calendar) -> dict[int, Integers]:
    """Return for each place of a month where it lies among the days, oldest first."""
    day = calendar.day_of_month
    places = {place: np.flatnonzero(day == place) for place in range(1, 32)}
    places[LAST_DAY] = np.flatnonzero(calendar.is_last_of_month)
    return places


def _stands_out(excess: Floats, spread: Floats) -> Flags:
    return np.asarray(np.abs(excess) > 4 * spread[:, None])


def _recurring(excess: Floats, spread: Floats, level: Floats) -> Floats:
    """Return what recurs in one day of the months, oldest first; 0 where nothing does.

    It came the last time, and in two of the last three months with the same sign and none three times another. Of only two they have to
    agree within a half.
    """
    recent = excess[:, -3:]
    last = recent[:, -1]
    to_last = recent / np.where(last == 0, np.nan, last)[:, None]
    alike = (to_last > 1 / 3) & (to_last < 3)
    same = _stands_out(recent, spread) & alike & (np.abs(recent) > 0.15 * level[:, None])
    seen = np.sum(~np.isnan(recent), axis=1)
    before = recent[:, -2]
    agree = np.abs(last - before) <= 0.5 * np.maximum(np.abs(last), np.abs(before))
    recurs = same[:, -1] & (np.sum(same, axis=1) >= 2) & ((seen >= 3) | agree)
    steady = np.abs(last - before) <= 0.1 * np.abs(last)
    usual = median(np.where(same, recent, np.nan))
    return np.where(recurs, np.where(steady, last, usual), 0.0)


def _single_days(values: Floats, expected: Floats, spread: Floats) -> Flags:
    """Tell single days, or two together, that stand far out; none where such days are usual in a series.

    Where more days around stand out to the same side, half as far, the level has moved.
    """
    excess = values - expected
    far = (np.abs(excess) > 6 * spread[:, None]) & (np.abs(excess) > 0.3 * np.abs(expected))
    single = np.zeros(far.shape, dtype=bool)
    for side in (1, -1):
        stands_out = np.pad(side * np.nan_to_num(excess) > 3 * spread[:, None], ((0, 0), (4, 4)))
        around = np.lib.stride_tricks.sliding_window_view(stands_out, 9, axis=1).sum(axis=-1)
        single |= far & (side * excess > 0) & (around <= 2)
    usual = np.mean(single, axis=1) > 0.05
    return np.asarray(single & ~usual[:, None])
