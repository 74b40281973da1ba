"""What forecasts are made from, and forecasts of series one by one, before anything is rounded or added up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any, Final, Self

import numpy as np
from numpy.typing import NDArray

from optiinfra_assets.analytics.arrays import Calendar, Flags, Floats, Integers, mean
from optiinfra_assets.analytics.backtest import DAYS, GRID, ORIGINS, Backtest, backtest, by_rule
from optiinfra_assets.analytics.charge_parts import CostPart, RecurringCharges, credits_ahead, follow

LEAST_DAYS: Final = 14
"""Fewer days of costs give a run-rate, not a model."""
_RECENT: Final = 62
"""Days of which costs tell ratios."""
NO_RECURRING: Final = RecurringCharges(
    np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, "M8[D]"), np.empty(0), np.empty(0, "M8[D]")
)


class Method(StrEnum):
    """How the figures of a forecast came about."""

    MODEL = "model"
    RUN_RATE = "run-rate"
    NONE = "none"


NOTES: Final[Mapping[Method, str]] = {
    Method.MODEL: "From the pattern of past costs. Bounds held as often as the measured coverage says.",
    Method.RUN_RATE: "Less than two weeks of costs: each day is expected to cost the mean of the days so far. No bounds can be told yet.",
    Method.NONE: "No final day of costs yet, so nothing is forecast. The first figures come once the first day is final.",
}
"""What to tell a person about each."""


@dataclass(frozen=True)
class Charges:
    """Charges summed as finely as their columns tell them apart, one an entry of each array, in any order."""

    series: Integers
    """The row of the series that each belongs to."""
    day: NDArray[np.datetime64]
    """Charge period start, UTC."""
    part: NDArray[np.str_]
    """What `part_of` says of their columns; any other text, such as "", for what is in no part."""
    amount: Floats
    commitment: Integers
    """A number for what is charged again; looked at for what recurs."""
    until: NDArray[np.datetime64]
    """The first day on which it has ended; NaT where it is not known."""


@dataclass(frozen=True)
class CostHistory:
    """Daily costs of series in one currency: rows are series (an account's service, say), columns UTC days from `first_day` on."""

    first_day: date
    through: NDArray[np.datetime64]
    """The last final day of each series; NaT if it has none. Nothing after it is looked at."""
    usage: Floats
    support: Floats
    tax: Floats
    credits: Floats
    """0 or below."""
    credits_left: Floats
    """What is left of the credits of each series, 0 or above; NaN where nobody tells."""
    recurring: RecurringCharges = NO_RECURRING
    owners: Integers | None = None
    """A number for the account of each series: support, tax and credits of a series that has no costs are charged on its account's."""

    @classmethod
    def of_charges(
        cls, first_day: date, through: NDArray[np.datetime64], charges: Charges, credits_left: Floats | None = None
    ) -> Self:
        """Return the history of charges by their FOCUS columns, as many series as `through` has; days before `first_day` are left out."""
        known = through[~np.isnat(through)]
        first = np.datetime64(first_day, "D")
        days = int((known.max() - first).astype(np.int64)) + 1 if known.size else 1
        place = (charges.day - first).astype(np.int64)
        is_inside = (place >= 0) & (place < days)

        def summed(part: CostPart) -> Floats:
            chosen = is_inside & (charges.part == part)
            result = np.zeros((len(through), days))
            np.add.at(result, (charges.series[chosen], place[chosen]), charges.amount[chosen])
            return result

        recurring = is_inside & (charges.part == CostPart.RECURRING)
        left = np.full(len(through), np.nan) if credits_left is None else credits_left
        return cls(
            first_day,
            through,
            summed(CostPart.USAGE),
            summed(CostPart.SUPPORT),
            summed(CostPart.TAX),
            summed(CostPart.CREDITS),
            left,
            RecurringCharges(
                *(
                    values[recurring]
                    for values in (charges.series, charges.commitment, charges.day, charges.amount, charges.until)
                )
            ),
        )

    @classmethod
    def of_daily(cls, first_day: date, amounts: Floats, through: date | None = None) -> Self:
        """Return the history of series of which daily amounts are all that is known, final to the last or to `through`."""
        last = np.datetime64(through, "D") if through else np.datetime64(first_day, "D") + (amounts.shape[1] - 1)
        none = np.zeros(amounts.shape)
        return cls(first_day, np.full(len(amounts), last), amounts, none, none, none, np.full(len(amounts), np.nan))

    def known_days(self) -> Integers:
        """Return the number of columns that are final, one a series; 0 if none is."""
        count = (self.through - np.datetime64(self.first_day, "D")).astype(np.int64) + 1
        return np.where(np.isnat(self.through), 0, np.clip(count, 0, self.usage.shape[1]))


@dataclass
class SeriesForecasts:
    """Forecasts of series, one a row."""

    parts: dict[CostPart, NDArray[Any]]
    """Series x day; 0 on days that are final."""
    errors_of_sums: Floats
    """Series x origin x grid, before credits."""
    errors_of_days: Floats
    """Series x origin x day ahead."""
    actual: Floats
    """Series x origin: what 28 days used."""
    level: Floats
    """What a day costs lately."""
    methods: list[Method]
    credits_run_out: Flags
    digits: int | None = None
    """Decimal places of the subunits that the parts are whole numbers of; None: they are amounts that are not rounded."""
    plain: Floats | None = None
    """Series x day: what was expected before credits until a person said otherwise; None if nobody did."""

    def amounts(self) -> dict[CostPart, Floats]:
        """Return series x day of each part, in units of the currency."""
        scale = 1 if self.digits is None else 10**self.digits
        return {part: values.astype(np.float64) / scale for part, values in self.parts.items()}

    def before_credits(self) -> Floats:
        """Return series x day: what is expected, without credits."""
        parts = self.amounts()
        return np.asarray(np.sum([values for part, values in parts.items() if part is not CostPart.CREDITS], axis=0))


def by_series(history: CostHistory, days: Calendar) -> SeriesForecasts:
    """Forecast each series on `days`, which begin no later than any series' first day that is not final."""
    count = len(history.usage)
    shape = (count, len(days.dates))
    result = SeriesForecasts(
        {part: np.zeros(shape) for part in CostPart},
        np.full((count, ORIGINS, len(GRID)), np.nan),
        np.full((count, ORIGINS, DAYS), np.nan),
        np.full((count, ORIGINS), np.nan),
        np.zeros(count),
        [Method.NONE] * count,
        np.zeros(count, dtype=bool),
    )
    result.parts[CostPart.RECURRING] = history.recurring.ahead(history.through, days)
    known = history.known_days()
    for until in np.unique(known[known > 0]):
        _same_end(history, result, np.flatnonzero(known == until), int(until), days)
    return result


def _same_end(history: CostHistory, result: SeriesForecasts, rows: Integers, until: int, days: Calendar) -> None:
    """Forecast the series whose final days are the first `until`."""
    past = Calendar.starting(history.first_day, until)
    usage, support, tax, credits = (
        part[rows, :until] for part in (history.usage, history.support, history.tax, history.credits)
    )
    ahead = days.dates > past.dates[-1]
    coming = Calendar(days.dates[ahead])
    begun = np.logical_or.accumulate((usage != 0) | (support != 0) | (tax != 0) | (credits != 0), axis=1)
    age = begun.sum(axis=1)
    expected, tested = _usage(np.where(begun, usage, np.nan), past, len(coming.dates), age)
    recurring = result.parts[CostPart.RECURRING][np.ix_(rows, np.flatnonzero(ahead))]
    recurred = history.recurring.charged(rows, past)
    owners = None if history.owners is None else history.owners[rows]
    charged, due = _charged_on(usage + recurred, expected + recurring, owners)
    followed = follow(support, charged, past, due, coming)
    charged, due = _charged_on(usage + recurred + support, expected + recurring + followed, owners)
    taxes = follow(tax, charged, past, due, coming)
    base = expected + recurring + followed + taxes
    charged, due = _charged_on(usage + recurred + support + tax, base, owners)
    credited = credits_ahead(credits, charged, due, history.credits_left[rows])
    for part, values in (
        (CostPart.USAGE, expected),
        (CostPart.SUPPORT, followed),
        (CostPart.TAX, taxes),
        (CostPart.CREDITS, credited),
    ):
        result.parts[part][np.ix_(rows, np.flatnonzero(ahead))] = values
    plain, total = np.sum((expected + recurring)[:, :DAYS], axis=1), np.sum(base[:, :DAYS], axis=1)
    more = np.clip(np.where(plain > 0, total / np.where(plain > 0, plain, 1.0), 1.0), 1.0, 2.0)
    tested_at = tested.sums.shape[1]
    result.errors_of_sums[rows, :tested_at] = tested.sums * more[:, None, None]
    result.errors_of_days[rows, :tested_at] = tested.days * more[:, None, None]
    result.actual[rows, :tested_at] = tested.actual
    result.level[rows] = np.nan_to_num(mean(np.abs(np.where(begun, usage, np.nan)[:, -56:]))) * more
    result.credits_run_out[rows] = (credited[:, -1:] == 0).all(axis=1)
    for row, days_of_costs in zip(rows, age, strict=True):
        method = Method.MODEL if days_of_costs >= LEAST_DAYS else Method.RUN_RATE
        result.methods[row] = method if days_of_costs else Method.NONE


def _charged_on(base: Floats, ahead: Floats, owners: Integers | None) -> tuple[Floats, Floats]:
    """Return what support, tax and credits of each series are a ratio of: its costs, or those of its account if it has none."""
    if owners is None:
        return base, ahead
    has_own = np.any(base[:, -_RECENT:] != 0, axis=1)[:, None]
    of_owners = []
    for values in (base, ahead):
        sums = np.zeros((int(owners.max(initial=0)) + 1, values.shape[1]))
        np.add.at(sums, owners, values)
        of_owners.append(np.where(has_own, values, sums[owners]))
    return of_owners[0], of_owners[1]


def _usage(usage: Floats, past: Calendar, horizon: int, age: Integers) -> tuple[Floats, Backtest]:
    """Return series x `horizon` days of what is used, and how earlier forecasts did. NaN in `usage` stands before a series begins."""
    tested = backtest(usage, past)
    rate = np.repeat(np.nan_to_num(mean(usage))[:, None], horizon, axis=1)
    if usage.shape[1] < LEAST_DAYS or horizon == 0:
        return rate, tested
    each, scheduled = by_rule(usage, past, horizon)
    modelled = np.einsum("rs,rsd->sd", tested.weights, each) + scheduled
    is_never_negative = np.nanmin(usage, axis=1, initial=0.0) >= 0
    modelled[is_never_negative] = np.maximum(modelled[is_never_negative], 0.0)
    return np.where((age >= LEAST_DAYS)[:, None], modelled, rate), tested
