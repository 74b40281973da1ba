"""Rates between currencies: what sources quote per euro in -> the rate of a day, or the average of its month, out.

A rate of two currencies is taken through the euro, from quotes of the same date. A day without a quote, such as a Sunday, has the last one
before it, which may be `CARRIED_DAYS` old; a day without any such quote has no rate. No rate is ever made up.

An average is that of the quotes of a month, as central banks publish it: of what is quoted for one currency, divided by that of the other.
A rate is rounded once, half-even, to `RATE_DIGITS` fraction digits. All else is exact: an amount times its rate is the converted amount.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from typing import Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import EXACT, exact_sum

EURO: Final = "EUR"
CARRIED_DAYS: Final = 7
RATE_DIGITS: Final = 36
IDENTITY: Final = "identity"
OVERRIDE: Final = "override"
_DAY: Final = timedelta(days=1)


class RateMethod(StrEnum):
    """Which rate converts a charge: that of its day, or the average of its month."""

    DAY = "day"
    MONTH = "month"


@dataclass(frozen=True, slots=True)
class Rate:
    """What one unit of a currency is worth in another one.

    Attributes:
        value: units of the other currency; at most `RATE_DIGITS` fraction digits.
        day: the date of the quote, of an average the last one, of an override the first day of its month; None: the same currency.
        source: who quoted it, `OVERRIDE` or `IDENTITY`.
    """

    value: Decimal
    day: date | None
    source: str


SAME: Final = Rate(Decimal(1), None, IDENTITY)
"""The rate of a currency to itself."""

Quotes = Mapping[date, tuple[Decimal, str]]
"""Units of one currency for one euro and who quotes it, by date."""


def rate_of(units: Decimal | Fraction, others: Decimal | Fraction) -> Decimal:
    """Return `units` divided by `others`, rounded half-even to `RATE_DIGITS` fraction digits.

    Raises:
        ZeroDivisionError: `others` is zero.
    """
    digits = round(Fraction(units) / Fraction(others) * 10**RATE_DIGITS)
    return EXACT.normalize(EXACT.scaleb(Decimal(digits), -RATE_DIGITS))


def inverse(rate: Decimal) -> Decimal:
    """Return the rate of the other direction."""
    return rate_of(Decimal(1), rate)


class PairRates:
    """The rates from one currency to another one, by day and by month."""

    def __init__(self, quotes: Quotes | None, others: Quotes | None) -> None:
        """Both per euro: `quotes` of the currency of the amounts, `others` of the one that is wanted; None: it is the euro."""
        self._quotes, self._others = quotes, others
        known = [one.keys() for one in (quotes, others) if one is not None]
        self._days = sorted(frozenset(known[0]).intersection(*known[1:])) if known else []
        self._averages: dict[tuple[date, date], Rate] = {}

    @property
    def newest(self) -> date | None:
        """The last date on which both are quoted."""
        return self._days[-1] if self._days else None

    def rate(self, day: date, method: RateMethod) -> Rate | None:
        """Return the rate for a charge of `day`, None if there is none.

        A month has an average from its first quote on; before, and where the last quote is too old, it is as for the day.
        """
        place = bisect_right(self._days, day)
        if not place or (day - self._days[place - 1]).days > CARRIED_DAYS:
            return None
        days = [self._days[place - 1]]
        if method is RateMethod.MONTH:
            month = BillingPeriod.of(day)
            first, end = (bisect_left(self._days, one.date()) for one in (month.start, month.end))
            days = self._days[first:end] or days
        span = days[0], days[-1]
        if span not in self._averages:
            self._averages[span] = self._average(days)
        return self._averages[span]

    def _average(self, days: Sequence[date]) -> Rate:
        own, other = (
            (exact_sum(quotes[day][0] for day in days) if quotes is not None else Decimal(len(days)))
            for quotes in (self._quotes, self._others)
        )
        sources = {quotes[day][1] for quotes in (self._quotes, self._others) if quotes is not None for day in days}
        return Rate(rate_of(other, own), days[-1], ", ".join(sorted(sources)))


def month_rates(
    pair: PairRates, month: BillingPeriod, method: RateMethod, override: Decimal | None
) -> dict[date, Rate | None]:
    """Return the rate of every day of a month; an override holds for all of them."""
    days = days_of(month)
    if override is not None:
        return dict.fromkeys(days, Rate(override, days[0], OVERRIDE))
    return {day: pair.rate(day, method) for day in days}


def days_of(month: BillingPeriod) -> list[date]:
    """The days of a month."""
    first = month.start.date()
    return [first + number * _DAY for number in range((month.end.date() - first).days)]


def final_rates(
    rates: Mapping[date, Rate | None], today: date, newest: date | None, method: RateMethod
) -> dict[date, Rate]:
    """Return those of the rates of a month that stay for ever once they have converted anything: none before the month has ended.

    A day whose own quote may still come is left open: no later one is known, and the day is not longer ago than a rate is carried. So is an
    average, as long as that holds for one of its days.

    Args:
        rates: the rates of all days of one month.
        today: the present UTC day.
        newest: the last date with a quote.
        method: how the rates were found.
    """
    if max(rates) >= today:
        return {}
    final = {
        day: rate
        for day, rate in rates.items()
        if rate is not None
        and (
            rate.source == OVERRIDE
            or rate.day == day
            or (newest is not None and newest > day)
            or (today - day).days > CARRIED_DAYS
        )
    }
    is_open = method is RateMethod.MONTH and any(day not in final for day, rate in rates.items() if rate is not None)
    return {} if is_open else final


def converted(amount: Decimal, rate: Rate | None) -> Decimal | None:
    """Return an amount in the other currency, exact; None without a rate."""
    return None if rate is None else EXACT.multiply(amount, rate.value)


@dataclass(frozen=True, slots=True)
class ConvertedSum:
    """The sum of converted amounts, and by which rates.

    Attributes:
        amount: exact; None if one of them has no rate.
        rate: the only rate there is; None if there are several, or none.
        first: date of the earliest quote.
        last: date of the latest quote.
    """

    amount: Decimal | None
    rate: Rate | None
    first: date | None
    last: date | None


def converted_sum(parts: Iterable[tuple[Decimal, Rate | None]]) -> ConvertedSum:
    """Return the sum of amounts, each at its rate: by rate, exact sums of what it converts are converted, and nothing is rounded."""
    by_rate: dict[Rate | None, list[Decimal]] = {}
    for amount, rate in parts:
        by_rate.setdefault(rate, []).append(amount)
    rates = [rate for rate in by_rate if rate is not None]
    days = [rate.day for rate in rates if rate.day is not None]
    values = {(rate.value, rate.source) for rate in rates}
    found: Decimal | None = None
    if None not in by_rate:
        found = exact_sum(EXACT.multiply(exact_sum(amounts), rate.value) for rate, amounts in by_rate.items() if rate)
    only = max(rates, key=lambda one: one.day or date.min) if len(values) == 1 and None not in by_rate else None
    return ConvertedSum(found, only, min(days, default=None), max(days, default=None))
