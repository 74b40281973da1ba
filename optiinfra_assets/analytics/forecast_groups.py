"""Sums of the series of a forecast that are asked together: the groups of a question, with what people expect of months."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import Final, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from optiinfra_assets.analytics.arrays import Calendar, Flags, Integers
from optiinfra_assets.analytics.customer_forecast import CurrencyForecast, SeriesKey
from optiinfra_assets.analytics.forecast import Forecast, Override, of_series
from optiinfra_assets.analytics.forecast_split import DaysMeant, Shares, split
from optiinfra_assets.domain.charge_filters import ChargeFilter
from optiinfra_assets.domain.day_span import DaySpan

SpansOf = Callable[[date], Mapping[str, DaySpan]]
"""The sums of days that are wanted, from the first day that is not final."""

_STORED: Final = frozenset({"provider", "account", "sub_account", "service"})
"""What every stored series is of."""
_OF_DAYS: Final = frozenset({"currency", "period", "invoice"})
"""What tells series apart without costs of late: charges to come are invoiced in the month of their day, and no invoice has them yet."""
_KEYS: Final = {"billing_period": "period"}
"""Filters that `SeriesKey` calls otherwise."""


class TagName(NamedTuple):
    """A tag that series are told apart by."""

    name: str
    in_any_case: bool


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
        finals: the last final day of each of its accounts, None: none is. On a later day of another only the others are forecast.
    """

    currency: str
    key: SeriesKey
    forecast: Forecast
    node: int
    first_day: date
    finals: Mapping[str, date | None]


@dataclass(frozen=True, slots=True)
class ForecastSelection:
    """Which series are meant: those that any of `filters` accepts; and what they are told apart by.

    Attributes:
        group_by: dimensions, such as ``sub_account``.
        group_tags: names of tags, and whether tags of that name in any case are one.
    """

    filters: Sequence[ChargeFilter] = (ChargeFilter(),)
    group_by: frozenset[str] = frozenset()
    group_tags: tuple[TagName, ...] = ()

    @property
    def tags(self) -> tuple[TagName, ...]:
        """The tags that series have to be told apart by, those of groups first."""
        filtered = (TagName(tag.name, tag.in_any_case) for one in self.filters for tag in one.tags)
        return tuple(dict.fromkeys((*self.group_tags, *filtered)))

    @property
    def named(self) -> frozenset[str]:
        """All dimensions that are filtered or grouped by, as `SeriesKey` calls them."""
        filtered = (_KEYS.get(name, name) for one in self.filters for name in one.chosen())
        return frozenset(filtered) | self.group_by

    def dimensions(self, *, is_by_sub_account: bool) -> list[str]:
        """What stored series are not told apart by, and costs of late tell."""
        stored = _STORED if is_by_sub_account else _STORED - {"sub_account"}
        return sorted((self.named - stored - _OF_DAYS) | ({"tags"} if self.tags else set()))

    def of_currency(self, currency: str) -> ForecastSelection:
        """The same for series in one currency."""
        filters = [one for one in self.filters if not one.currencies or currency in one.currencies]
        return replace(self, filters=filters)

    def matcher(self) -> Callable[[SeriesKey], bool]:
        """Return what accepts the series that are meant, when they are told apart by all that is named."""
        places = {tag: place for place, tag in enumerate(self.tags)}
        filters = [
            (
                [
                    (_KEYS.get(name, name), frozenset(values))
                    for name, values in one.chosen().items()
                    if name != "currency"
                ],
                [(places[TagName(tag.name, tag.in_any_case)], frozenset(tag.values)) for tag in one.tags],
            )
            for one in self.filters
        ]
        return lambda key: any(
            all(getattr(key, name) in values for name, values in dimensions)
            and all(key.tags[place] in values for place, values in tags)
            for dimensions, tags in filters
        )

    def days_meant(self, days: Calendar) -> DaysMeant:
        """Return what says on which of `days` a series is meant, and under which key: charges to come are invoiced in their month."""
        accepts = self.matcher()
        if "period" not in self.named:
            return lambda key: [(key, None)] if accepts(key) else []
        months = days.dates.astype("M8[M]")
        each = [(str(month), months == month) for month in np.unique(months)]

        def meant(key: SeriesKey) -> list[tuple[SeriesKey, Flags | None]]:
            found = [(key._replace(period=month), within) for month, within in each]
            accepted = [(of_month, within) for of_month, within in found if accepts(of_month)]
            if "period" in self.group_by or not accepted:
                return list(accepted)
            return [(key, np.any([within for _, within in accepted], axis=0))]

        return meant

    def grouper(self) -> Callable[[SeriesKey], SeriesKey]:
        """Return what makes the group of a series: its values of what is grouped by, '' elsewhere."""
        places = [self.tags.index(tag) for tag in self.group_tags]
        return lambda key: SeriesKey("", "")._replace(
            **{name: getattr(key, name) for name in self.group_by}, tags=tuple(key.tags[place] for place in places)
        )


def groups_of(
    one: CurrencyForecast,
    selection: ForecastSelection,
    overrides: Iterable[ExpectedMonth],
    found: Shares,
    spans_of: SpansOf,
    *,
    is_by_sub_account: bool,
) -> list[ForecastGroup]:
    """Return the groups of one currency, the largest first.

    Args:
        one: all series of the currency.
        selection: the series that are meant, and what groups are told apart by.
        overrides: what people expect of months.
        found: shares by which series are split into what they are not told apart by.
        spans_of: the sums of days that are wanted.
        is_by_sub_account: whether the series are told apart by sub account.
    """
    selection = selection.of_currency(one.currency)
    series, through = one.overridden([*_overrides(overrides, one)]), one.through
    dimensions = selection.dimensions(is_by_sub_account=is_by_sub_account)
    keys: Sequence[SeriesKey | None]
    if dimensions or "period" in selection.named:
        parted = split(
            series, one.keys, found, dimensions, len(selection.tags), one.digits, selection.days_meant(one.days)
        )
        series, keys, through = parted.series, parted.keys, through[parted.parents]
    else:
        accepts = selection.matcher()
        keys = [key if accepts(key) else None for key in one.keys]
    rows = _rows(selection, keys)
    if not rows:
        return []
    known = [through[places][~np.isnat(through[places])] for places in rows.values()]
    firsts = [(days.min() + 1 if days.size else one.days.dates[0]).astype(date) for days in known]
    spans = spans_of(min(firsts))
    result = of_series(series, through, one.days, spans, list(rows.values()), digits=one.digits)
    groups = [
        ForecastGroup(one.currency, key, result, len(keys) + number, first, _finals(keys, through, rows[key]))
        for number, (key, first) in enumerate(zip(rows, firsts, strict=True))
    ]
    longest = max(spans, key=lambda name: spans[name].count)
    return sorted(groups, key=lambda group: (-result.total(longest, group.node), str(group.key)))


def _finals(
    keys: Sequence[SeriesKey | None], through: NDArray[np.datetime64], places: Integers
) -> dict[str, date | None]:
    found = {key.account: through[place] for place in places if (key := keys[place])}
    return {account: None if np.isnat(day) else day.astype(date) for account, day in sorted(found.items())}


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


def _rows(selection: ForecastSelection, keys: Sequence[SeriesKey | None]) -> dict[SeriesKey, Integers]:
    """The places of the series of each group."""
    found: dict[SeriesKey, list[int]] = {}
    group = selection.grouper()
    for place, key in enumerate(keys):
        if key is not None:
            found.setdefault(group(key), []).append(place)
    return {key: np.array(places) for key, places in found.items()}
