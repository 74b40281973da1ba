"""Converts the answers of cost queries to one currency: rows in -> the same rows with converted amounts beside the exact ones.

This is the one place where it happens, for all of them. Rows have the form of ``sql/clickhouse/queries``; amounts stay text.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, Final

from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.reading.rate_book import RateBook, RatesByDay
from optiinfra_assets.analytics.currency import SAME, Rate, RateMethod
from optiinfra_assets.domain.exact_amounts import EXACT, plain

_CODE: Final = re.compile(r"[A-Z]{3}")
_ZERO: Final = Decimal(0)
Row = dict[str, Any]


def checked_currency(code: str, name: str = "displayCurrency") -> str:
    """Return the code of a currency.

    Raises:
        InvalidArgument: it is none.
    """
    if not _CODE.fullmatch(code):
        raise InvalidArgument(f"{name}: {code!r} is not accepted", "Use the ISO 4217 code of a currency, such as EUR.")
    return code


@dataclass(slots=True)
class Display:
    """One answer in one currency, and what is said about it. Make one for each answer.

    Attributes:
        currency: the currency.
        method: how charges were converted; None before.
        missing: by currency, the days without a rate.
        total: the sum of all that was converted with `series`; None if a rate is missing.
    """

    currency: str
    customer_id: str
    rates: RateBook
    method: RateMethod = RateMethod.DAY
    missing: dict[str, set[str]] = field(default_factory=dict)
    total: Decimal | None = _ZERO

    @property
    def warnings(self) -> list[str]:
        """What could not be converted, one sentence for each currency."""
        return [missing_rates(one, self.currency, days) for one, days in sorted(self.missing.items())]

    async def series(self, rows: list[Row], granularity: str = "daily", start: date | None = None) -> None:
        """Convert rows of daily amounts: to each is added ``converted``, fields of a converted sum, and columns ``converted_amounts`` and
        ``rates`` beside ``dates`` and ``amounts``, all of them by `granularity`.

        Args:
            rows: with currency, dates, amounts and total.
            granularity: ``daily``, ``weekly``, ``monthly`` or ``whole``, which begins at `start`.
            start: first day of the period.
        """
        by_day = await self._rates(rows)
        bucket_of = _bucket_of(granularity, start)
        for row in rows:
            self._convert(row, by_day.get(row["currency"]), bucket_of)

    async def charges(self, rows: list[Row], costs: Collection[str]) -> None:
        """Convert line items: to each is added ``converted``, by cost the fields of a converted sum.

        Args:
            rows: with charge_period_start and billing_currency.
            costs: columns of costs; a row may lack some.
        """
        needed = [{"currency": row["billing_currency"], "dates": [row["charge_period_start"][:10]]} for row in rows]
        by_day = await self._rates(needed)
        for row, one in zip(rows, needed, strict=True):
            rates, (day,) = by_day.get(one["currency"]), one["dates"]
            rate = SAME if rates is None else rates[day]
            if rate is None:
                self.missing.setdefault(one["currency"], set()).add(day)
            row["converted"] = {
                cost: self._sum(None if rate is None else EXACT.multiply(Decimal(row[cost]), rate.value), [rate])
                for cost in costs
                if row.get(cost) is not None
            }

    async def resources(self, rows: list[Row], days: list[Row]) -> None:
        """Convert sums of resources: to each is added ``converted``, the fields of a converted sum.

        Args:
            rows: with account, resource, currency and total.
            days: the same by day, with dates and amounts, of those in other currencies than this one.
        """
        await self.series(days, "whole")
        found = {(one["account"], one["resource"], one["currency"]): one["converted"] for one in days}
        for row in rows:
            if row["currency"] == self.currency:
                row["converted"] = self._sum(Decimal(row["total"]), [SAME])
            else:
                row["converted"] = found[row["account"], row["resource"], row["currency"]]

    async def _rates(self, rows: Iterable[Row]) -> dict[str, RatesByDay]:
        months: dict[str, set[str]] = {}
        for row in rows:
            if row["currency"] != self.currency:
                months.setdefault(row["currency"], set()).update(day[:7] for day in row["dates"])
        if not months:
            return {}
        self.method, found = await self.rates.of(self.customer_id, self.currency, months)
        return found

    def _convert(self, row: Row, rates: RatesByDay | None, bucket_of: Callable[[str], str]) -> None:
        """Convert one series; without `rates` it is in the currency already."""
        buckets: dict[str, _Bucket] = {}
        for day, text in zip(row["dates"], row["amounts"], strict=True):
            rate = SAME if rates is None else rates[day]
            bucket = buckets.get(first := bucket_of(day))
            if bucket is None:
                bucket = buckets[first] = _Bucket()
            bucket.add(Decimal(text), rate)
            if rate is None:
                self.missing.setdefault(row["currency"], set()).add(day)
        found = list(buckets.values())
        total = _added(one.converted for one in found)
        row["dates"], row["amounts"] = list(buckets), [plain(one.amount) for one in found]
        row["converted_amounts"] = [_text(one.converted) for one in found]
        row["rates"] = [_only_value(one.rates.values()) for one in found]
        row["converted"] = self._sum(total, {k: v for one in found for k, v in one.rates.items()}.values())
        self.total = _added((self.total, total))

    def _sum(self, amount: Decimal | None, rates: Collection[Rate | None]) -> Row:
        """The fields of a converted sum."""
        known = [one for one in rates if one is not None]
        only = _only_value(rates) is not None and len({one.source for one in known}) == 1
        days = [one.day.isoformat() for one in known if one.day is not None]
        first, last = min(days, default=None), max(days, default=None)
        return {
            "amount": _text(amount),
            "currency": self.currency,
            "rate": plain(known[0].value) if only else None,
            "rate_date": last if only else None,
            "rate_source": ", ".join(sorted({one.source for one in known})) or None,
            "first_rate_date": first,
            "last_rate_date": last,
        }


@dataclass(slots=True)
class _Bucket:
    """The exact sums of some days: as billed, and converted; None if a day has no rate. `rates`: those that converted it."""

    amount: Decimal = _ZERO
    converted: Decimal | None = _ZERO
    rates: dict[int, Rate | None] = field(default_factory=dict)

    def add(self, amount: Decimal, rate: Rate | None) -> None:
        self.amount = EXACT.add(self.amount, amount)
        self.rates[id(rate)] = rate
        if rate is None or self.converted is None:
            self.converted = None
        else:
            self.converted = EXACT.add(self.converted, EXACT.multiply(amount, rate.value))


def missing_rates(currency: str, into: str, days: Collection[str]) -> str:
    """Say that a currency has no rate on some days."""
    first, last = min(days), max(days)
    when = f"on {first}" if first == last else f"on {len(days)} days from {first} to {last}"
    return f"No rate from {currency or 'no currency'} to {into} {when}: what was charged then is not converted."


def _added(amounts: Iterable[Decimal | None]) -> Decimal | None:
    total = _ZERO
    for one in amounts:
        if one is None:
            return None
        total = EXACT.add(total, one)
    return total


def _only_value(rates: Collection[Rate | None]) -> str | None:
    values = {None if one is None else one.value for one in rates}
    only = next(iter(values), None) if len(values) == 1 else None
    return None if only is None else plain(only)


def _text(amount: Decimal | None) -> str | None:
    return None if amount is None else plain(amount)


def _bucket_of(granularity: str, start: date | None) -> Callable[[str], str]:
    """How the first day of the bucket of a day is found, as the statements name it."""
    if granularity == "daily":
        return lambda day: day
    if granularity == "monthly":
        return lambda day: f"{day[:7]}-01"
    if granularity == "weekly":
        return _Mondays().__getitem__
    whole = "" if start is None else start.isoformat()
    return lambda _: whole


class _Mondays(dict[str, str]):
    """The Monday of the week of each day that was asked for."""

    def __missing__(self, day: str) -> str:
        parsed = date.fromisoformat(day)
        monday = self[day] = (parsed - timedelta(days=parsed.weekday())).isoformat()
        return monday
