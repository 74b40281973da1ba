"""Tells by FOCUS columns which charges are forecast and how: what is used, what recurs, what follows from others, and what came once."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from optiinfra_assets.analytics.arrays import Calendar, Floats, Integers, mean

_SUPPORT = re.compile(r"\bsupport\b", re.IGNORECASE)
_MONTH = 31
"""A charge that is looked for by its day of the month lies in so many last days."""


class CostPart(StrEnum):
    """The parts that a forecast shows."""

    USAGE = "usage"
    RECURRING = "recurring"
    SUPPORT = "support"
    TAX = "tax"
    CREDITS = "credits"


def part_of(
    category: str, frequency: str | None, charge_class: str | None, service_name: str | None = None
) -> CostPart | None:
    """Return the part that a charge belongs to; None for what came once and tells nothing of the days to come.

    Arguments are FOCUS 1.4 ChargeCategory, ChargeFrequency, ChargeClass and ServiceName. Purchases that recur are part of what recurs;
    other purchases, adjustments and corrections come once. No column of FOCUS names support: the service does.
    """
    if charge_class == "Correction" or category == "Adjustment":
        return None
    if category in ("Tax", "Credit"):
        return CostPart.TAX if category == "Tax" else CostPart.CREDITS
    if _SUPPORT.search(service_name or ""):
        return CostPart.SUPPORT
    if frequency == "Recurring":
        return CostPart.RECURRING
    return CostPart.USAGE if category == "Usage" and frequency != "One-Time" else None


@dataclass(frozen=True)
class RecurringCharges:
    """Charges that recur, one an entry of each array, in any order."""

    series: Integers
    """The row of the series that each belongs to."""
    commitment: Integers
    """A number for what is charged again (a commitment, a subscription): entries with one number are one charge at several times."""
    day: NDArray[np.datetime64]
    """When it was charged, UTC."""
    amount: Floats
    until: NDArray[np.datetime64]
    """The first day on which the commitment has ended; NaT where it is not known."""

    def ahead(self, through: NDArray[np.datetime64], days: Calendar) -> Floats:
        """Return series x `days`: what recurs on each after its series' last final day, which `through` has.

        What is charged on most days goes on daily, other charges come on their day of the month again, in as many months as they came
        before.
        Both end with their commitment; and what did not come when it was due has ended.
        """
        result = np.zeros((len(through), len(days.dates)))
        keys = np.stack([self.series, self.commitment], axis=1)
        _, group = np.unique(keys, axis=0, return_inverse=True)
        order = np.lexsort((self.day, group.reshape(-1)))
        edges = np.flatnonzero(np.diff(group.reshape(-1)[order])) + 1
        for entries in np.split(order, edges):
            if len(entries):
                series = int(self.series[entries[0]])
                known = entries[self.day[entries] <= through[series]]
                result[series] += self._one(known, through[series], days)
        return result

    def charged(self, rows: Integers, days: Calendar) -> Floats:
        """Return rows x `days`: what was charged."""
        place = np.full(int(max(self.series.max(initial=0), rows.max(initial=0))) + 1, -1)
        place[rows] = np.arange(len(rows))
        day = (self.day - days.dates[0]).astype(np.int64)
        chosen = (place[self.series] >= 0) & (day >= 0) & (day < len(days.dates))
        result = np.zeros((len(rows), len(days.dates)))
        np.add.at(result, (place[self.series[chosen]], day[chosen]), self.amount[chosen])
        return result

    def _one(self, entries: Integers, through: np.datetime64, days: Calendar) -> Floats:
        """Return what one commitment brings; `entries` are in the order of days."""
        charges = np.zeros(len(days.dates))
        if not len(entries):
            return charges
        charged, first = np.unique(self.day[entries], return_index=True)
        amounts = np.add.reduceat(self.amount[entries], first)
        age = (through - charged).astype(np.int64)
        recent = age < 14
        if recent.sum() >= min(10, 0.7 * (age[0] + 1)) and recent.sum() >= 5:
            charges[:] = np.median(amounts[recent]) if age[-1] < 4 else 0.0
        else:
            self._by_month(charges, charged, amounts, through, days)
        until = self.until[entries[-1]]
        charges[days.dates <= through] = 0.0
        if not np.isnat(until):
            charges[days.dates >= until] = 0.0
        return charges

    @staticmethod
    def _by_month(
        charges: Floats, charged: NDArray[np.datetime64], amounts: Floats, through: np.datetime64, days: Calendar
    ) -> None:
        """Put each of the latest charges on its day of later months."""
        months = charged.astype("M8[M]")
        earlier = months[months < months[-1]]
        every = int((months[-1] - earlier[-1]).astype(np.int64)) if len(earlier) else 1
        in_last = (charged[-1] - charged).astype(np.int64) < _MONTH
        of_days = days.dates.astype("M8[M]")
        last_days = ((of_days + 1).astype("M8[D]") - of_days.astype("M8[D]")).astype(np.int64)
        for day, amount in zip(charged[in_last], amounts[in_last], strict=True):
            month = day.astype("M8[M]")
            due = _on_day_of(month + every, int((day - month.astype("M8[D]")).astype(np.int64)) + 1)
            if due <= through - 3:
                continue  # it was due and did not come
            turn = (of_days - month).astype(np.int64)
            place = np.minimum(int((day - month.astype("M8[D]")).astype(np.int64)) + 1, last_days)
            charges[(turn > 0) & (turn % every == 0) & (days.day_of_month == place)] += amount


def _on_day_of(month: np.datetime64, day: int) -> np.datetime64:
    """Return a day of a month, its last one if it has none such."""
    return min(month.astype("M8[D]") + (day - 1), (month + 1).astype("M8[D]") - 1)


def follow(part: Floats, base: Floats, calendar: Calendar, base_ahead: Floats, ahead: Calendar) -> Floats:
    """Return series x days ahead of a charge that is a ratio of others, as tax and support are.

    `part` and `base` are series x days of the past that `calendar` has, `base_ahead` the forecast of the base. What comes on most days
    is a ratio of each day; what comes on few days of a month (charged up to the fifteenth: for the month before, later: for its own) is
    a ratio of that month, on those days.
    """
    result = np.zeros(base_ahead.shape)
    recent = part[:, -62:]
    is_daily = np.mean(recent != 0, axis=1) > 0.4
    total = np.sum(base[:, -62:], axis=1)
    ratio = np.where(total != 0, np.sum(recent, axis=1) / np.where(total != 0, total, 1.0), 0.0)
    result[is_daily] = ratio[is_daily, None] * base_ahead[is_daily]
    lumps = ~is_daily & np.any(recent != 0, axis=1)
    if lumps.any():
        result[lumps] = _lumps(part[lumps], base[lumps], calendar, base_ahead[lumps], ahead)
    return result


def _lumps(part: Floats, base: Floats, calendar: Calendar, base_ahead: Floats, ahead: Calendar) -> Floats:
    result = np.zeros(base_ahead.shape)
    dates = np.concatenate([calendar.dates, ahead.dates])
    both = Calendar(dates)
    months = both.month
    first = int(months[0])
    sums = np.zeros((len(part), int(months[-1]) - first + 1))
    np.add.at(sums.T, months - first, np.concatenate([base, base_ahead], axis=1).T)
    part = part.copy()
    earliest = first + (calendar.day_of_month[0] != 1)  # the month before is not whole
    for place in (0, *range(1, 32)):
        past, coming = _places(calendar, place), _places(ahead, place)
        back = 1 if 0 < place <= 15 else 0
        past = past[calendar.month[past] - back >= earliest][-3:]
        if len(past) < (1 if place else 2):
            continue
        charged, of_month = part[:, past], sums[:, calendar.month[past] - back - first]
        came = (charged != 0) & (of_month != 0)
        goes_on = came[:, -1] if place else np.all(came[:, -2:], axis=1)
        ratios = np.where(came & goes_on[:, None], charged / np.where(came, of_month, 1.0), np.nan)
        part[:, past] = np.where(goes_on[:, None], 0.0, charged)
        result[:, coming] += np.nan_to_num(mean(ratios[:, -2:]))[:, None] * sums[:, ahead.month[coming] - back - first]
    return result


def _places(calendar: Calendar, place: int) -> Integers:
    """Return where a day of the month lies; 0 is the last one."""
    return np.flatnonzero(calendar.day_of_month == place if place else calendar.is_last_of_month)


def credits_ahead(part: Floats, base: Floats, base_ahead: Floats, left: Floats) -> Floats:
    """Return series x days ahead of credits (0 or below): the share of costs that they took in four weeks, until what is left is used up.

    `left` is what is left of each series' credits, 0 or above; NaN where the provider tells none. Then credits go on only if they came
    in each of three months.
    """
    costs = np.sum(base[:, -28:], axis=1)
    share = np.where(costs > 0, np.sum(part[:, -28:], axis=1) / np.where(costs > 0, costs, 1.0), 0.0)
    wanted = np.clip(-share, 0.0, None)[:, None] * np.maximum(base_ahead, 0.0)
    stands = np.stack([np.any(part[:, -28 * (n + 1) : part.shape[1] - 28 * n] != 0, axis=1) for n in range(3)]).all(
        axis=0
    )
    limit = np.where(np.isnan(left), np.where(stands & (part.shape[1] >= 84), np.inf, 0.0), np.maximum(left, 0.0))
    used = np.minimum(np.cumsum(wanted, axis=1), limit[:, None])
    return np.asarray(-np.diff(used, axis=1, prepend=0.0))
