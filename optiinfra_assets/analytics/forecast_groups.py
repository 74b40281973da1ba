"""Sums of the series of a forecast that are asked together: the groups of a question, with what people expect of months."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

import numpy as np

from optiinfra_assets.analytics.arrays import Integers
from optiinfra_assets.analytics.customer_forecast import CurrencyForecast, SeriesKey
from optiinfra_assets.analytics.forecast import Forecast, Override, of_series
from optiinfra_assets.analytics.forecast_split import Shares, split
from optiinfra_assets.domain.day_span import DaySpan

SpansOf = Callable[[date], Mapping[str, DaySpan]]
"""The sums of days that are wanted, from the first day that is not final."""
Matches = Sequence[Callable[[SeriesKey], bool]]
"""Filters: series are meant that any of them accepts."""


class ExpectedMonth(Protocol):
    """What a person expects of a month of the series that `chosen` names, as it is stored."""

    @property
    def chosen(self) -> Mapping[str, Sequence[str]]:
        """Accepted values by dimension; empty: all series."""

    @property
    def month(self) -> date:
        """Its first day."""

    @property
    def currency(self) -> str | None:
        """Of the amount; None: it is a factor, for all currencies."""

    @property
    def amount(self) -> Decimal | None:
        """In place of what is forecast."""

    @property
    def factor(self) -> Decimal | None:
        """For what is forecast."""


@dataclass(frozen=True)
class ForecastGroup:
    """One group of a question in one currency.

    Attributes:
        key: the group's value of each dimension that is grouped by; '' elsewhere.
        forecast: of which `node` is the group.
        first_day: the first of its days that is not final.
    """

    currency: str
    key: SeriesKey
    forecast: Forecast
    node: int
    first_day: date


def matcher(chosen: Mapping[str, Collection[Any]]) -> Callable[[SeriesKey], bool]:
    """Return what accepts series by values of dimensions, of which an empty one accepts all."""
    filters = [(name, frozenset(values)) for name, values in chosen.items() if values]
    return lambda key: all(getattr(key, name) in values for name, values in filters)


def groups_of(
    one: CurrencyForecast,
    matches: Matches,
    group_by: Collection[str],
    overrides: Iterable[ExpectedMonth],
    found: Shares,
    dimensions: Sequence[str],
    spans_of: SpansOf,
) -> list[ForecastGroup]:
    """Return the groups of one currency, the largest first.

    Args:
        one: all series of the currency.
        matches: the series that are meant.
        group_by: dimensions that groups are told apart by.
        overrides: what people expect of months.
        found: shares by which series are split into `dimensions`, which they are not told apart by.
        spans_of: the sums of days that are wanted.
    """
    series, keys = one.overridden([*_overrides(overrides, one)]), list(one.keys)
    parents = dict(zip(one.keys, one.through, strict=True))
    if dimensions:
        undone = _undone(dimensions)
        series, keys = split(series, keys, found, dimensions, one.digits)
        through = np.array([parents[key._replace(**undone)] for key in keys], dtype="M8[D]")
    else:
        through = one.through
    rows = _rows(matches, group_by, keys)
    if not rows:
        return []
    known = [through[places][~np.isnat(through[places])] for places in rows.values()]
    firsts = [(days.min() + 1 if days.size else one.days.dates[0]).astype(date) for days in known]
    spans = spans_of(min(firsts))
    result = of_series(series, through, one.days, spans, list(rows.values()), digits=one.digits)
    groups = [
        ForecastGroup(one.currency, key, result, len(keys) + number, first)
        for number, (key, first) in enumerate(zip(rows, firsts, strict=True))
    ]
    longest = max(spans, key=lambda name: spans[name].count)
    return sorted(groups, key=lambda group: (-result.total(longest, group.node), str(group.key)))


def _undone(dimensions: Sequence[str]) -> dict[str, Any]:
    return {name: None if name == "tag" else "" for name in dimensions}


def _overrides(overrides: Iterable[ExpectedMonth], one: CurrencyForecast) -> Iterator[Override]:
    for override in overrides:
        if override.currency in (None, one.currency):
            places = [
                place
                for place, key in enumerate(one.keys)
                if all(getattr(key, name) in values for name, values in override.chosen.items())
            ]
            if places:
                yield Override(np.array(places), override.month, override.amount, override.factor)


def _rows(matches: Matches, group_by: Collection[str], keys: Sequence[SeriesKey]) -> dict[SeriesKey, Integers]:
    """The places of the series of each group."""
    found: dict[SeriesKey, list[int]] = {}
    for place, key in enumerate(keys):
        if any(match(key) for match in matches):
            group = {name: getattr(key, name) for name in group_by}
            found.setdefault(SeriesKey("", "")._replace(**group), []).append(place)
    return {key: np.array(places) for key, places in found.items()}
