"""Converts the answers of cost queries to one currency: rows in -> the same rows with converted amounts beside the exact ones.

This is the one place where it happens, for all of them. Rows have the form of ``sql/clickhouse/queries``; amounts stay text.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal, localcontext
from functools import partial
from itertools import pairwise
from operator import mul
from typing import Any, Final

from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.reading.rate_book import KnownRate, RateBook, RatesByDay, known_rate
from optiinfra_api.reading.rated_costs import ConversionAsked
from optiinfra_assets.analytics.currency import SAME, RateMethod
from optiinfra_assets.domain.exact_amounts import EXACT, plain
from optiinfra_assets.domain.rates import CURRENCY

_ZERO: Final = Decimal(0)
_SAME: Final = known_rate(SAME)
COLUMNS: Final = {"convertedAmounts": "converted_amounts", "rates": "rates"}
"""The columns of a converted series beside ``dates`` and ``amounts``, by their names in the schema."""

Row = dict[str, Any]


def checked_currency(code: str, name: str = "displayCurrency") -> str:
    """Return the code of a currency.

    Raises:
        InvalidArgument: it is none.
    """
    if not CURRENCY.fullmatch(code):
        raise InvalidArgument(f"{name}: {code!r} is not accepted", "Use the ISO 4217 code of a currency, such as EUR.")
    return code


@dataclass(slots=True)
class Display:
    """One answer in one currency, and what is said about it. Make one for each answer.

    Attributes:
        currency: the currency.
        columns: those of `COLUMNS` that are selected; long ones cost as much as all else.
        method: how charges were converted; None before.
        missing: by currency, the days without a rate.
        total: the sum of all series; None if a rate is missing.
        state: of the rates; None before.
    """

    currency: str
    customer_id: str
    rates: RateBook
    columns: frozenset[str] = frozenset(COLUMNS.values())
    method: RateMethod = RateMethod.DAY
    missing: dict[str, set[str]] = field(default_factory=dict)
    total: Decimal | None = _ZERO
    state: str | None = None

    @property
    def warnings(self) -> list[str]:
        """What could not be converted, one sentence for each currency."""
        return [missing_rates(one, self.currency, days) for one, days in sorted(self.missing.items())]

    async def asked(self, granularity: str) -> ConversionAsked:
        """What a question is told, so that its rows are converted where they are read, and kept so; see `series` for `granularity`."""
        rates_of = partial(self.rates.of, self.customer_id, self.currency)
        convert = partial(self._convert, granularity=granularity)
        return ConversionAsked(self.currency, granularity, self.columns, await self._known_state(), rates_of, convert)

    async def series(self, rows: list[Row], granularity: str = "daily", start: date | None = None) -> None:
        """Convert rows of daily amounts: to each is added ``converted``, fields of a converted sum, and of ``converted_amounts`` and
        ``rates`` those in `columns`, beside ``dates`` and ``amounts``, all of them by `granularity`. Rows that are converted already, see
        `asked`, stay.

        Args:
            rows: with currency, dates, amounts and total.
            granularity: ``daily``, ``weekly``, ``monthly`` or ``whole``, which begins at `start`.
            start: first day of the period.
        """
        if not (rows and "missing" in rows[0]):
            await self._known_state()
            await self._convert(rows, start, granularity)
        for row in rows:
            if row["missing"]:
                self.missing.setdefault(row["currency"], set()).update(row["missing"])
        amounts = [row["converted"]["amount"] for row in rows]
        with localcontext(EXACT):
            known = None if self.total is None or None in amounts else sum(map(Decimal, amounts), self.total)
        self.total = known

    async def _known_state(self) -> str:
        """That of the rates, as it was first asked for this answer."""
        if self.state is None:
            self.state, self.method = await self.rates.state(self.customer_id)
        return self.state

    async def charges(self, rows: list[Row], costs: Collection[str]) -> None:
        """Convert line items: to each is added ``converted``, by cost the fields of a converted sum.

        Args:
            rows: with charge_period_start and billing_currency.
            costs: columns of costs; a row may lack some.
        """
        await self._known_state()
        days = [row["charge_period_start"][:10] for row in rows]
        asked: dict[str, set[str]] = {}
        for row, day in zip(rows, days, strict=True):
            asked.setdefault(row["billing_currency"], set()).add(day)
        by_day = await self._rates([{"currency": one, "dates": some} for one, some in asked.items()])
        said: dict[int, Row] = {}  # of each rate once: many line items of a page have the same one
        with localcontext(EXACT):
            for row, day in zip(rows, days, strict=True):
                rates = by_day.get(row["billing_currency"])
                rate = _SAME if rates is None else rates[day]
                if rate is None:
                    self.missing.setdefault(row["billing_currency"], set()).add(day)
                fields = said.get(id(rate)) or said.setdefault(id(rate), self._sum(None, [rate]))
                row["converted"] = {
                    cost: fields if rate is None else {**fields, "amount": _text(Decimal(row[cost]) * rate.value)}
                    for cost in costs
                    if row.get(cost) is not None
                }

    async def _convert(self, rows: list[Row], start: date | None, granularity: str) -> None:
        """As `series`, of rows that are not converted."""
        columns = frozenset[str]() if granularity == "whole" else self.columns
        by_day = await self._rates(rows)
        bucket_of = _bucket_of(granularity, start)
        same: dict[tuple[str, tuple[str, ...]], _RatedDays] = {}  # most series of an answer have the same days
        with localcontext(EXACT):
            for row in rows:
                key = row["currency"], tuple(row["dates"])
                days = same.get(key)
                if days is None:
                    days = same[key] = self._rated(key[1], by_day.get(key[0]), bucket_of, columns)
                row |= days.converted(row["amounts"], columns)

    async def resources(self, rows: list[Row], days: list[Row]) -> None:
        """Convert sums of resources: to each is added ``converted``, the fields of a converted sum.

        Args:
            rows: with account, resource, currency and total.
            days: the same by day, with dates and amounts or converted as `series` says, of those in other currencies than this one.
        """
        await self.series(days, "whole")
        found = {(one["account"], one["resource"], one["currency"]): one["converted"] for one in days}
        for row in rows:
            if row["currency"] == self.currency:
                row["converted"] = self._sum(Decimal(row["total"]), [_SAME])
            else:
                row["converted"] = found[row["account"], row["resource"], row["currency"]]

    async def _rates(self, rows: Iterable[Row]) -> dict[str, RatesByDay]:
        days: dict[str, set[str]] = {}
        for row in rows:
            if row["currency"] != self.currency:
                days.setdefault(row["currency"], set()).update(row["dates"])
        if not days:
            return {}
        months = {currency: {day[:7] for day in some} for currency, some in days.items()}
        return await self.rates.of(self.customer_id, self.currency, months)

    def _rated(
        self,
        dates: Sequence[str],
        days: RatesByDay | None,
        bucket_of: Callable[[str], str] | None,
        columns: Collection[str],
    ) -> _RatedDays:
        """What series of these days have in common; without `days` they are in the currency already."""
        rates: list[KnownRate | None] = [_SAME] * len(dates) if days is None else [days[day] for day in dates]
        missing = [day for day, rate in zip(dates, rates, strict=True) if rate is None]
        names = [] if bucket_of is None else list(map(bucket_of, dates))
        starts = [place for place, name in enumerate(names) if not place or names[place - 1] != name]
        spans = [slice(*ends) for ends in pairwise([*starts, len(names)])]
        shown = (
            [_only(_distinct(rates[span])) for span in spans] if bucket_of else [rate and rate.text for rate in rates]
        )
        return _RatedDays(
            [rate.value if rate else _ZERO for rate in rates],
            rates,
            missing,
            self._sum(None, _distinct(rates)),
            [names[place] for place in starts] if bucket_of else None,
            spans,
            shown if "rates" in columns else None,
        )

    def _sum(self, amount: Decimal | None, rates: Collection[KnownRate | None]) -> Row:
        """The fields of a converted sum; each of `rates` once."""
        known = [one.rate for one in rates if one is not None]
        sources = {one.source for one in known}
        only = _only(rates) if len(sources) == 1 else None
        days = [one.day for one in known if one.day is not None]
        first, last = (min(days).isoformat(), max(days).isoformat()) if days else (None, None)
        return {
            "amount": _text(amount),
            "currency": self.currency,
            "rate": only,
            "rate_date": last if only else None,
            "rate_source": ", ".join(sorted(sources)) or None,
            "first_rate_date": first,
            "last_rate_date": last,
        }


@dataclass(frozen=True, slots=True)
class _RatedDays:
    """The rates of the days of a series.

    Attributes:
        values: the rate of each day, 0 without one.
        rates: the same, with their quotes.
        missing: the days without a rate.
        fields: of a converted sum, without the amount.
        buckets: the first day of each bucket; None: each day is one.
        spans: the days of each bucket.
        shown_rates: the one rate of each bucket; None: nobody asks.
    """

    values: list[Decimal]
    rates: list[KnownRate | None]
    missing: list[str]
    fields: Row
    buckets: list[str] | None
    spans: list[slice]
    shown_rates: list[str | None] | None

    def converted(self, amounts: Sequence[str], columns: Collection[str]) -> Row:
        """What is added to a series of these days; in a context of exact decimals, and in loops of C, because a year of many groups is a
        long list."""
        exact = list(map(Decimal, amounts))
        parts = list(map(mul, exact, self.values))
        amount = None if self.missing else _text(sum(parts, _ZERO))
        found: Row = {"converted": {**self.fields, "amount": amount}, "missing": self.missing}
        if self.buckets is not None:
            found["dates"] = self.buckets
            found["amounts"] = [plain(sum(exact[span], _ZERO)) for span in self.spans]
        if "converted_amounts" in columns:
            found["converted_amounts"] = self._shown(parts)
        if self.shown_rates is not None:
            found["rates"] = self.shown_rates
        return found

    def _shown(self, parts: Sequence[Decimal]) -> list[str | None]:
        if self.buckets is None:
            return [None if rate is None else _text(part) for part, rate in zip(parts, self.rates, strict=True)]
        is_whole = [not self.missing or None not in self.rates[span] for span in self.spans]
        return [
            _text(sum(parts[span], _ZERO)) if whole else None for span, whole in zip(self.spans, is_whole, strict=True)
        ]


def display_of(rates: RateBook, customer_id: str, currency: str, selected: frozenset[str] | None = None) -> Display:
    """Return what converts one answer for a customer to a currency.

    `selected`: names of the fields that are selected of its series; None: all.

    Raises:
        InvalidArgument: `currency` is no code of a currency.
    """
    columns = frozenset(column for name, column in COLUMNS.items() if selected is None or name in selected)
    return Display(checked_currency(currency), customer_id, rates, columns)


def missing_rates(currency: str, into: str, days: Collection[str]) -> str:
    """Say that a currency has no rate on some days."""
    first, last = min(days), max(days)
    when = f"on {first}" if first == last else f"on {len(days)} days from {first} to {last}"
    return f"No rate from {currency or 'no currency'} to {into} {when}: what was charged then is not converted."


def _distinct(rates: Sequence[KnownRate | None]) -> Collection[KnownRate | None]:
    """Each rate once: equal ones are one object, and comparing them would take longer than all that is computed with them."""
    return dict(zip(map(id, rates), rates, strict=True)).values()


def _only(rates: Collection[KnownRate | None]) -> str | None:
    """The one value of rates, of which each is there once; None if there are several, or one is missing."""
    values = {one and one.text for one in rates}
    return values.pop() if len(values) == 1 else None


def _text(amount: Decimal | None) -> str | None:
    if amount is None:
        return None
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _bucket_of(granularity: str, start: date | None) -> Callable[[str], str] | None:
    """How the first day of the bucket of a day is found, as the statements name it; None: each day is one."""
    if granularity == "daily":
        return None
    if granularity in _FIRST_DAYS:
        return _FirstDays(_FIRST_DAYS[granularity]).__getitem__
    whole = "" if start is None else start.isoformat()
    return lambda _: whole


_FIRST_DAYS: Final[dict[str, Callable[[date], date]]] = {
    "weekly": lambda day: day - timedelta(days=day.weekday()),
    "monthly": lambda day: day.replace(day=1),
}


class _FirstDays(dict[str, str]):
    """The first day of the bucket of each day that was asked for: each once, as series of one answer have the same days."""

    def __init__(self, first_day: Callable[[date], date]) -> None:
        super().__init__()
        self._first_day = first_day

    def __missing__(self, day: str) -> str:
        found = self[day] = self._first_day(date.fromisoformat(day)).isoformat()
        return found
