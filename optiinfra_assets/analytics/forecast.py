"""Forecasts costs: what they will be each day, in a month, in a year, with bounds that say how often they held.

Figures are estimates and computed in binary fractions; results are whole subunits of the currency, so that days add up to months, and
children to their parents, to the last digit. What was spent already is a fact, which the caller has exactly, and is not in them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from functools import cached_property
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from optiinfra_assets.analytics.arrays import Calendar, Flags, Floats, Integers, mean
from optiinfra_assets.analytics.backtest import DAYS, GRID, MONTH, SPACING, errors_of_window
from optiinfra_assets.analytics.bounds import LEVELS, bounds
from optiinfra_assets.analytics.charge_parts import CostPart
from optiinfra_assets.analytics.cost_history import CostHistory, Method, SeriesForecasts, by_series
from optiinfra_assets.domain.day_span import DaySpan, next_month

Numbers = TypeVar("Numbers", Floats, Integers)


@dataclass(frozen=True)
class Override:
    """What a person expects of a month instead, of some rows of a history together and before credits.

    Either `amount`, which includes the days that are final already, or `factor`, times which the forecast is taken.
    """

    rows: Integers
    month: date
    """Its first day."""
    amount: Decimal | None = None
    factor: Decimal | None = None


@dataclass(frozen=True)
class SpanTotal:
    """A sum of days, one figure a node; amounts in subunits."""

    span: DaySpan
    parts: Mapping[CostPart, Integers]
    half: Floats
    """Node x level of `LEVELS`: how far the bounds lie from the total before credits, in units of the currency; NaN where none can be
    told."""
    half_after_credits: Floats
    covered: Floats
    """Node x level: the part of the node's own back-tests whose total lay within; NaN where there is none."""
    covered_of_all: Floats
    """The same over all nodes, one a level."""


@dataclass(frozen=True)
class Forecast:
    """The forecasts of nodes: first the series, in their order, then the groups of series that were asked for."""

    days: Calendar
    parts: Mapping[CostPart, Integers]
    """Node x day, in subunits; 0 on days that are final already."""
    totals: Mapping[str, SpanTotal]
    methods: Sequence[Method]
    error: Floats
    """Back-tested sMAPE of 28 days of use in percent, one a node; NaN where there were too few days."""
    digits: int
    """Decimal places of the subunit."""
    half_of_days: Callable[[], Floats] = field(repr=False)
    """Returns `half`. It takes ten times what the totals do, and budgets do without."""

    @cached_property
    def half(self) -> Floats:
        """Node x day x level of `LEVELS`: how far the bounds of a day lie from what is expected before credits."""
        return self.half_of_days()

    def amount(self, subunits: int | np.integer) -> Decimal:
        """Return subunits as an amount."""
        return Decimal(int(subunits)).scaleb(-self.digits)

    def total(self, name: str, node: int, *, after_credits: bool = False) -> Decimal:
        """Return what is expected of a total."""
        parts = self.totals[name].parts
        return self.amount(
            sum(int(parts[part][node]) for part in CostPart if after_credits or part is not CostPart.CREDITS)
        )

    def bounds(self, name: str, node: int, *, after_credits: bool = False) -> list[tuple[Decimal, Decimal] | None]:
        """Return lower and upper bound of a total at each of `LEVELS`; None where none can be told. What is not negative has no bound
        that is."""
        total = self.totals[name]
        expected = self.total(name, node, after_credits=after_credits)
        halves = (total.half_after_credits if after_credits else total.half)[node]
        return [None if np.isnan(half) else self._around(expected, float(half)) for half in halves]

    def _around(self, expected: Decimal, half: float) -> tuple[Decimal, Decimal]:
        distance = self.amount(round(half * 10**self.digits))
        lower = expected - distance
        return (max(lower, Decimal(0)) if expected >= 0 else lower), expected + distance


def usual_spans(as_of: date, through: date) -> dict[str, DaySpan]:
    """Return what people ask for on the day `as_of`, when costs are final to `through`.

    The rest of this month and of the one before, if that is not final yet; the next month; 90 days and 12 months from the first day that
    is not final.
    """
    first = date.fromordinal(through.toordinal() + 1)
    month = next_month(as_of)
    after = next_month(month)
    year = first.replace(year=first.year + 1, day=min(first.day, 28) if first.month == 2 else first.day)
    return {
        "rest of month": DaySpan(min(first, month), month),
        "next month": DaySpan(month, after),
        "90 days": DaySpan(first, date.fromordinal(first.toordinal() + 90)),
        "12 months": DaySpan(first, year),
    }


def forecast(
    history: CostHistory,
    spans: Mapping[str, DaySpan],
    groups: Sequence[Integers] = (),
    *,
    digits: int = 2,
    overrides: Sequence[Override] = (),
) -> Forecast:
    """Forecast all series of `history` and the `groups` of them (row numbers): each of the `spans`, and each day from the first that is
    not final.

    `digits` are the decimal places of the currency's subunit. Credits are a part of their own; the caller adds them or leaves them out.
    """
    days = days_of(history.through, spans.values())
    series = with_overrides(by_series(history, days), history, days, overrides, digits)
    return of_series(series, history.through, days, spans, groups, digits=digits)


def days_of(through: NDArray[np.datetime64], spans: Iterable[DaySpan]) -> Calendar:
    """Return the days from the first that is not final of some series to the last of the `spans`."""
    known = through[~np.isnat(through)]
    begin = known.min() + 1 if known.size else min(np.datetime64(span.start, "D") for span in spans)
    return Calendar(np.arange(begin, max(np.datetime64(span.end, "D") for span in spans)))


def with_overrides(
    series: SeriesForecasts, history: CostHistory, days: Calendar, overrides: Sequence[Override], digits: int
) -> SeriesForecasts:
    """Return the series in whole subunits, with what people expect of months in place of what was forecast."""
    floats = series.amounts()
    for override in overrides:
        _apply(override, history, floats, days)
    parts = {part: _subunits(values, digits) for part, values in floats.items()}
    for override in overrides:
        _settle(override, history, parts, days, digits)
    return replace(series, parts=parts, digits=digits, plain=series.before_credits() if overrides else None)


def of_series(
    series: SeriesForecasts,
    through: NDArray[np.datetime64],
    days: Calendar,
    spans: Mapping[str, DaySpan],
    groups: Sequence[Integers] = (),
    *,
    digits: int = 2,
) -> Forecast:
    """Return the forecasts of series that are whole subunits already, and of `groups` of them; `through` is the last final day of each."""
    nodes = {part: _of_nodes(exact(values), groups) for part, values in series.parts.items()}
    rows = [*(np.array([row]) for row in range(len(through))), *groups]
    methods = [_method(series, chosen) for chosen in rows]
    is_bounded = np.array([method is Method.MODEL for method in methods])
    widened = np.ones(nodes[CostPart.USAGE].shape)
    if series.plain is not None:
        plain, now = _of_nodes(series.plain, groups), _of_nodes(series.before_credits(), groups)
        widened = np.where(plain > 0, now / np.where(plain > 0, plain, 1.0), 1.0)

    def half_of_days() -> Floats:
        return np.where(is_bounded[:, None, None], _of_days(series, through, days, groups), np.nan) * widened[..., None]

    totals = {
        name: _total(span, through, series, days, nodes, groups, is_bounded, widened) for name, span in spans.items()
    }
    return Forecast(days, nodes, totals, methods, _error(series, groups), digits, half_of_days)


def _of_nodes(values: Numbers, groups: Iterable[Integers]) -> Numbers:
    """Add the sums of groups below the rows of series."""
    return np.concatenate([values, *(values[rows].sum(axis=0, keepdims=True) for rows in groups)])


def _known_of_nodes(errors: Floats, groups: Iterable[Integers]) -> Floats:
    """Add the errors of groups below those of series: sums of what is known; NaN where nothing is."""
    known = [np.where(np.isnan(errors[rows]).all(axis=0), np.nan, np.nansum(errors[rows], axis=0)) for rows in groups]
    return np.concatenate([errors, *(one[None] for one in known)])


def _subunits(values: Floats, digits: int) -> Integers:
    """Round series x days such that the sum of any first days is off by half a subunit at most."""
    summed = np.rint(np.cumsum(values, axis=1) * 10**digits)
    return np.asarray(np.diff(exact(summed), axis=1, prepend=0))


def exact(subunits: Floats | Integers) -> Integers:
    """Return whole numbers whose sums are exact: Python's, if those of all parts, series and days may pass 64 bits."""
    passes = float(np.abs(subunits.astype(np.float64)).sum()) * len(CostPart) >= 2**62
    return np.vectorize(int, otypes=[object])(subunits) if passes else subunits.astype(np.int64)


def _method(series: SeriesForecasts, rows: Integers) -> Method:
    """Return the method of most of the costs of some rows."""
    found = [series.methods[row] for row in rows]
    if all(method is Method.NONE for method in found):
        return Method.NONE
    modelled = sum(series.level[row] for row, method in zip(rows, found, strict=True) if method is Method.MODEL)
    has_model = Method.MODEL in found and modelled >= 0.5 * float(np.sum(series.level[rows]))
    return Method.MODEL if has_model else Method.RUN_RATE


def _total(
    span: DaySpan,
    finals: NDArray[np.datetime64],
    series: SeriesForecasts,
    days: Calendar,
    nodes: Mapping[CostPart, Integers],
    groups: Sequence[Integers],
    is_bounded: Flags,
    widened: Floats,
) -> SpanTotal:
    within = (days.dates >= np.datetime64(span.start, "D")) & (days.dates < np.datetime64(span.end, "D"))
    parts = {part: values[:, within].sum(axis=1) for part, values in nodes.items()}
    errors = np.full(series.actual.shape, np.nan)
    count = np.zeros(len(errors))
    for through in np.unique(finals[~np.isnat(finals)]):
        rows = finals == through
        start, end = (
            max(int((np.datetime64(day, "D") - through).astype(np.int64)) - 1, 0) for day in (span.start, span.end)
        )
        errors[rows], count[rows] = errors_of_window(series.errors_of_sums[rows], start, end), end - start
    shared = min(int(count.max(initial=0)), GRID[-1])  # longer sums are not measured
    common = -(-shared // SPACING) - 1 if shared else 0
    found = bounds(_known_of_nodes(errors, groups), _of_nodes(series.level * count, groups), len(errors), common)
    ratio = widened[:, within].mean(axis=1) if within.any() else np.ones(len(widened))
    half = np.where(is_bounded[:, None], found.half, np.nan) * ratio[:, None]
    before = np.sum(
        [values.astype(np.float64) for part, values in parts.items() if part is not CostPart.CREDITS], axis=0
    )
    credited = nodes[CostPart.CREDITS][: len(errors), within].sum(axis=1).astype(np.float64)
    lasting = np.where(series.credits_run_out, 0.0, credited)
    share = np.clip(np.where(before > 0, -_of_nodes(lasting, groups) / np.maximum(before, 1), 0.0), 0.0, 1.0)
    return SpanTotal(span, parts, half, half * (1 - share)[:, None], found.covered, found.pooled)


def _of_days(
    series: SeriesForecasts, through: NDArray[np.datetime64], days: Calendar, groups: Sequence[Integers]
) -> Floats:
    """Return node x day x level: bounds by the week ahead, which grow on as they did; days are counted from the latest final one of a
    node."""
    errors, level = _known_of_nodes(series.errors_of_days, groups), _of_nodes(series.level, groups)
    parts = [errors[..., first:end] for first, end in ((0, 7), (7, 14), (14, 21), (21, DAYS))]
    weeks = [bounds(part.reshape(len(part), -1), level, len(through), part.shape[-1] - 1).half for part in parts]
    known = np.where(np.isnat(through), days.dates[0] - 1, through)
    last = np.concatenate([known, *(known[rows].max(keepdims=True) for rows in groups)])
    ahead = (days.dates[None] - last[:, None]).astype(np.float64)
    growth = np.maximum(weeks[3] - weeks[0], 0.0) / 21
    place = np.clip(((ahead - 4) / 7), 0, 3)
    half = np.zeros((*ahead.shape, len(LEVELS)))
    for index, week in enumerate(weeks):
        half += np.clip(1 - np.abs(place - index), 0, 1)[..., None] * week[:, None]
    half += np.maximum(ahead - 25, 0)[..., None] * growth[:, None]
    return np.where((ahead > 0)[..., None], np.maximum.accumulate(half, axis=-1), 0.0)


def _error(series: SeriesForecasts, groups: Sequence[Integers]) -> Floats:
    actual = _known_of_nodes(series.actual, groups)
    missed = _known_of_nodes(series.errors_of_sums[..., MONTH], groups)
    size = np.abs(2 * actual + missed)
    return mean(
        np.where(size > 0, 200 * np.abs(missed) / np.where(size > 0, size, 1.0), np.where(missed == 0, 0.0, np.nan))
    )


def _in_month(override: Override, days: Calendar) -> Flags:
    return np.asarray(days.dates.astype("M8[M]") == np.datetime64(override.month, "M"))


def _left_of(override: Override, history: CostHistory) -> Decimal:
    """Return what an amount leaves for the days that are not final."""
    past = Calendar.starting(history.first_day, history.usage.shape[1])
    final = _in_month(override, past)[None] & (past.dates[None] <= history.through[override.rows, None])
    spent = sum(float(part[override.rows][final].sum()) for part in (history.usage, history.support, history.tax))
    recurred = history.recurring.charged(override.rows, past)[final].sum()
    return (override.amount or Decimal(0)) - Decimal(spent + float(recurred))


def _apply(override: Override, history: CostHistory, parts: Mapping[CostPart, Floats], days: Calendar) -> None:
    """Change what is expected of the days of a month that are not final."""
    within = _in_month(override, days)[None] & (days.dates[None] > history.through[override.rows, None])
    if not within.any():
        return
    chosen = [part for part in CostPart if part is not CostPart.CREDITS]
    expected = sum(float(parts[part][override.rows][within].sum()) for part in chosen)
    if override.factor is not None:
        factor = float(override.factor)
    else:
        left = max(float(_left_of(override, history)), 0.0)
        if expected <= 0:
            values = parts[CostPart.USAGE][override.rows]
            parts[CostPart.USAGE][override.rows] = np.where(within, left / within.sum(), values)
            return
        factor = left / expected
    for part in chosen:
        values = parts[part][override.rows]
        parts[part][override.rows] = np.where(within, values * factor, values)


def _settle(
    override: Override, history: CostHistory, parts: Mapping[CostPart, Integers], days: Calendar, digits: int
) -> None:
    """Put what rounding left of an amount on the last day of the month, so that it is met to the subunit."""
    within = _in_month(override, days)[None] & (days.dates[None] > history.through[override.rows, None])
    if override.amount is None or not within.any():
        return
    target = max(round(_left_of(override, history).scaleb(digits)), 0)
    have = sum(int(parts[part][override.rows][within].sum()) for part in CostPart if part is not CostPart.CREDITS)
    row, day = np.argwhere(within)[-1]
    parts[CostPart.USAGE][override.rows[row], day] += target - have
