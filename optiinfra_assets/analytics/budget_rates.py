"""Converts what a budget counts to its currency: exact costs by day and currency in -> amounts by day, and the rates that were used.

Nothing is rounded. A day that is over is converted by its rate, as costs are shown in one currency. A day to come has no quote: it is
converted by the newest rate there is, which is at most as old as a rate may be carried before the last day of which costs are known; a
customer's own rate for its month goes before.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from typing import Final, NamedTuple

from optiinfra_assets.analytics.budgets import Outlook
from optiinfra_assets.analytics.currency import CARRIED_DAYS, OVERRIDE, SAME, Rate
from optiinfra_assets.domain.day_span import next_month
from optiinfra_assets.domain.exact_amounts import EXACT, exact_sum

MORE_RATES: Final = "Run `optiinfra rates update`, or set a rate of your own with `optiinfra rates override`."
"""What to do where a rate is missing."""
_DAY = timedelta(days=1)


class DayCost(NamedTuple):
    """What the charges of a day cost, as billed in one currency."""

    day: date
    currency: str
    amount: Decimal


@dataclass(frozen=True, slots=True)
class RateUse:
    """A rate that converted costs of a budget.

    Attributes:
        currency: of the costs.
        amount: what it converted, in that currency; times the rate it is what the budget counts.
        first_day: the first day of those costs.
        last_day: the last one.
        is_expected: they are expected, on days that are not final.
    """

    currency: str
    rate: Rate
    amount: Decimal
    first_day: date
    last_day: date
    is_expected: bool = False


@dataclass(frozen=True, slots=True)
class ConvertedCosts:
    """What of a budget is billed in one currency, and by which rates it was converted.

    Attributes:
        amount: as billed.
        converted: in the currency of the budget.
        is_expected: these costs are expected, on days that are not final.
        rates: at least one.
    """

    currency: str
    amount: Decimal
    converted: Decimal
    is_expected: bool
    rates: Sequence[Rate]

    @property
    def days(self) -> list[date]:
        """The dates of the quotes, in their order; none for the same currency."""
        return sorted({one.day for one in self.rates if one.day is not None})


def by_currency(rates: Iterable[RateUse]) -> list[ConvertedCosts]:
    """Return what rates converted, by currency: first what is spent, then what is expected."""
    found: dict[tuple[bool, str], list[RateUse]] = {}
    for one in rates:
        found.setdefault((one.is_expected, one.currency), []).append(one)
    return [
        ConvertedCosts(
            currency,
            exact_sum(one.amount for one in of),
            exact_sum(EXACT.multiply(one.amount, one.rate.value) for one in of),
            is_expected,
            [one.rate for one in of],
        )
        for (is_expected, currency), of in sorted(found.items())
    ]


class RatesMissing(ValueError):
    """Costs of a budget have no rate to its currency, so that how it stands cannot be told."""

    def __init__(self, days: Mapping[str, Iterable[date]], into: str) -> None:
        """`days`: by currency, those without a rate to `into`."""
        parts = []
        for currency, found in sorted(days.items()):
            first, last = min(found), max(found)
            when = f"on {first}" if first == last else f"on days from {first} to {last}"
            parts.append(f"from {currency or 'no currency'} to {into} {when}")
        super().__init__(
            f"There is no rate {' and '.join(parts)}, at most {CARRIED_DAYS} days old, so what is spent cannot be told"
        )


@dataclass(frozen=True, slots=True)
class BudgetRates:
    """The rates to the currency of a budget.

    Attributes:
        into: that currency.
        today: the day at which it is looked at; later ones are to come.
        days: by currency, the rates of all days that are asked for, None where there is none.
    """

    into: str
    today: date
    days: Mapping[str, Mapping[date, Rate | None]]

    def rate(self, currency: str, day: date) -> Rate | None:
        """Return the rate for costs of a day, None if there is none."""
        return SAME if currency == self.into else self.days[currency][day]

    def expected(self, currency: str, day: date, known_to: date) -> Rate | None:
        """Return the rate for what is expected of a day, None if there is none.

        Args:
            known_to: the last day of which the costs are known.
        """
        own = self.rate(currency, day)
        if own is not None and (day <= self.today or own.source == OVERRIDE or currency == self.into):
            return own
        back = (self.today - number * _DAY for number in range(max((self.today - known_to).days, 0) + 1))
        return next((rate for one in back if (rate := self.rate(currency, one)) is not None), None)


def months_between(first: date, last: date) -> list[str]:
    """Return the months from that of a day to that of another one, as ``YYYY-MM``."""
    months, month = [], first.replace(day=1)
    while month <= last:
        months.append(f"{month:%Y-%m}")
        month = next_month(month)
    return months


def spent_in(costs: Iterable[DayCost], rates: BudgetRates) -> tuple[list[tuple[date, Decimal]], list[RateUse]]:
    """Return what costs are in the currency of a budget by day, and the rates that were used.

    Raises:
        RatesMissing: a day of a currency has none. Costs of zero need none.
    """
    days: dict[date, Decimal] = {}
    used = _Used(is_expected=False)
    missing: dict[str, list[date]] = {}
    for day, currency, amount in costs:
        if not amount:
            continue
        rate = rates.rate(currency, day)
        if rate is None:
            missing.setdefault(currency, []).append(day)
        else:
            days[day] = EXACT.add(days.get(day, Decimal(0)), used.converted(day, currency, amount, rate))
    if missing:
        raise RatesMissing(missing, rates.into)
    return sorted(days.items()), used.found


@dataclass(frozen=True, slots=True)
class ExpectedCosts:
    """What is expected of the costs of a budget that are billed in one currency, as `outlook_of` tells it.

    Attributes:
        known_to: the last day of which such costs are known.
    """

    currency: str
    known_to: date
    outlook: Outlook | None
    reason: str


def combined(
    expected: Sequence[ExpectedCosts], rates: BudgetRates, end: date
) -> tuple[Outlook | None, str, list[RateUse]]:
    """Return what is expected in all currencies together, in that of the budget; what to know of it; and the rates that were used.

    Bounds of several currencies are added: they hold however much these move together. They say nothing of rates to come.

    Args:
        expected: at least one.
        end: the day after the last of the budget.
    """
    if any(one.outlook is None for one in expected):
        return None, _reasons([one for one in expected if one.outlook is None], expected), []
    open_ = [(one, one.outlook) for one in expected if one.outlook is not None and one.outlook.daily]
    if not open_:
        return Outlook(end, (), None, None), expected[0].reason, []
    used, days, bounds = _Used(is_expected=True), dict[date, Decimal](), []
    for one, outlook in open_:
        most = Decimal(0)
        for number, amount in enumerate(outlook.daily):
            day = outlook.first_day + number * _DAY
            rate = rates.expected(one.currency, day, one.known_to)
            if rate is None and not amount and outlook.within_95 is None:
                continue
            if rate is None:
                return None, _no_rate(one.currency, rates.into, min(one.known_to, rates.today)), []
            most = max(most, rate.value)
            days[day] = EXACT.add(days.get(day, Decimal(0)), used.converted(day, one.currency, amount, rate))
        bounds.append(_Bounds(outlook, exact_sum(used.of(one.currency)), most))
    first = min(outlook.first_day for _, outlook in open_)
    daily = [days.get(first + number * _DAY, Decimal(0)) for number in range((end - first).days)]
    around = [_added([one.around(level) for one in bounds]) for level in ("within_80", "within_95")]
    return Outlook(first, daily, *around), _reasons([one for one, _ in open_], expected), used.found


def _reasons(told: Sequence[ExpectedCosts], expected: Sequence[ExpectedCosts]) -> str:
    """Say what to know of some of what is expected, with its currencies where that is not true of all."""
    currencies: dict[str, list[str]] = {}
    for one in told:
        currencies.setdefault(one.reason, []).append(one.currency)
    if len(currencies) == 1 and len(told) == len(expected):
        return told[0].reason
    return " ".join(f"{', '.join(of)}: {reason}" for reason, of in currencies.items())


@dataclass(frozen=True, slots=True)
class _Bounds:
    """The bounds of the costs in one currency, around what is expected of them in that of the budget: as far as by their highest rate."""

    outlook: Outlook
    expected: Decimal
    rate: Decimal

    def around(self, level: str) -> tuple[Decimal, Decimal] | None:
        ends: tuple[Decimal, Decimal] | None = getattr(self.outlook, level)
        if ends is None:
            return None
        own = self.outlook.expected
        low, high = (EXACT.add(self.expected, EXACT.multiply(EXACT.subtract(end, own), self.rate)) for end in ends)
        return low, high


def _added(all_: Sequence[tuple[Decimal, Decimal] | None]) -> tuple[Decimal, Decimal] | None:
    known = [one for one in all_ if one is not None]
    if len(known) < len(all_):
        return None
    return exact_sum(low for low, _ in known), exact_sum(high for _, high in known)


def _no_rate(currency: str, into: str, known_to: date) -> str:
    return (
        f"No rate from {currency or 'no currency'} to {into} is known from {known_to - CARRIED_DAYS * _DAY} on, so nothing is"
        f" forecast. {MORE_RATES}"
    )


class _Used:
    """Collects the rates that convert costs, each with what it converts."""

    def __init__(self, *, is_expected: bool) -> None:
        self._is_expected = is_expected
        self._uses: dict[tuple[str, Rate], RateUse] = {}

    @property
    def found(self) -> list[RateUse]:
        """All of them, by currency and day."""
        return sorted(self._uses.values(), key=lambda one: (one.currency, one.first_day, one.last_day))

    def of(self, currency: str) -> Iterable[Decimal]:
        """What the costs of a currency are in the other one, by rate."""
        return [EXACT.multiply(one.amount, one.rate.value) for one in self._uses.values() if one.currency == currency]

    def converted(self, day: date, currency: str, amount: Decimal, rate: Rate) -> Decimal:
        """Return an amount in the other currency."""
        if amount:
            old = self._uses.get((currency, rate))
            first, last, before = (old.first_day, old.last_day, old.amount) if old else (day, day, Decimal(0))
            total = EXACT.add(before, amount)
            self._uses[currency, rate] = RateUse(
                currency, rate, total, min(first, day), max(last, day), self._is_expected
            )
        return EXACT.multiply(amount, rate.value)
