"""What a budget is: an amount for each month, quarter or year, or between two days, of charges that any of some filters matches."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from enum import StrEnum
from fractions import Fraction
from itertools import combinations
from typing import Any, Final, Self

from optiinfra_assets.domain.accounts import check_name
from optiinfra_assets.domain.charge_filters import ChargeFilter
from optiinfra_assets.domain.day_span import DaySpan, next_month
from optiinfra_assets.domain.exact_amounts import EXACT, exact_sum
from optiinfra_assets.domain.rates import CURRENCY

MOST_FILTERS: Final = 10
MOST_DAYS: Final = 1100
"""Three years: the longest time between two days."""
_FIRST_DAY: Final = date(1971, 1, 1)
_END_DAY: Final = date(2100, 1, 1)
"""No query reaches further: a budget that does could not be read, nor could those listed with it."""
_MOST: Final = Decimal(10) ** 15


class Cadence(StrEnum):
    """How often a budget begins anew."""

    MONTHLY = "monthly"
    QUARTERLY = "quarterly"
    YEARLY = "yearly"
    BETWEEN = "between"
    """Never: it is for the days between two."""


_MONTHS: Final = {Cadence.MONTHLY: 1, Cadence.QUARTERLY: 3, Cadence.YEARLY: 12}


@dataclass(frozen=True, slots=True)
class Budget:
    """What may be spent in each period.

    Attributes:
        filters: as `ChargeFilter.stored` returns them; no filter: all charges. No charge may match two.
        start: first day of a budget between two days; else the first day that it is for, None for any.
        end: the day after the last; None: it does not end.
        amounts: of a month (its first day) in place of its even share of a period.
        currency: of the amount; costs that are billed in others are converted to it.
        cost_basis: the column of the cost, such as ``billed_cost``.
    """

    name: str
    cadence: Cadence
    amount: Decimal
    currency: str
    cost_basis: str = "billed_cost"
    filters: Sequence[Mapping[str, Any]] = ()
    start: date | None = None
    end: date | None = None
    amounts: Mapping[date, Decimal] = field(default_factory=dict)

    @property
    def charges(self) -> tuple[ChargeFilter, ...]:
        """The charges that count, in whatever currency they are billed: those that any of these accepts.

        Raises:
            ValueError: a filter is not known.
        """
        return tuple(ChargeFilter.of(one) for one in self.filters or ({},))

    def check(self) -> None:
        """Check that it can be kept.

        Raises:
            ValueError: it cannot; the message names the field and what is accepted.
        """
        check_name("name", self.name)
        for name, amount in (("amount", self.amount), *(("amountsByMonth", one) for one in self.amounts.values())):
            if not amount.is_finite() or not 0 <= amount < _MOST or -int(amount.as_tuple().exponent) > 18:
                raise ValueError(
                    f"{name}: {amount} is not accepted: use a number from 0 to below 10^15, such as 1250.50"
                )
        if not CURRENCY.fullmatch(self.currency):
            raise ValueError(f"currency: {self.currency!r} is not accepted: use an ISO 4217 code, such as EUR")
        if len(self.filters) > MOST_FILTERS:
            raise ValueError(f"filters: at most {MOST_FILTERS}")
        self._check_days()
        charges = self.charges
        for chosen in charges:
            chosen.check()
        for one, other in combinations(range(len(charges)), 2):
            if not charges[one].is_apart_from(charges[other]):
                raise ValueError(
                    f"filters: a charge may match both {one + 1} and {other + 1}, and would count twice: let them have no value in common"
                )

    def _check_days(self) -> None:
        for name, day in (("start", self.start), ("end", self.end), *(("amountsByMonth", one) for one in self.amounts)):
            if day is not None and not _FIRST_DAY <= day <= _END_DAY:
                raise ValueError(f"{name}: {day} is not accepted: use a day from {_FIRST_DAY} to {_END_DAY}")
        if self.cadence is Cadence.BETWEEN and (self.start is None or self.end is None):
            raise ValueError("start: needed with end, for a budget between two days")
        if self.start is not None and self.end is not None and self.start >= self.end:
            raise ValueError(f"end: {self.end} is not after start {self.start}; it is the day after the last")
        if self.cadence is Cadence.BETWEEN and self.start and self.end and (self.end - self.start).days > MOST_DAYS:
            raise ValueError(f"end: more than {MOST_DAYS} days after start")

    def period(self, day: date) -> DaySpan | None:
        """Return the period that a day is in; None: the budget is not for that day. A budget between two days has one, whatever the day."""
        if self.cadence is Cadence.BETWEEN:
            return DaySpan(self.start or day, self.end or day)
        if (self.start and day < self.start) or (self.end and day >= self.end):
            return None
        months = _MONTHS[self.cadence]
        first = day.replace(month=(day.month - 1) // months * months + 1, day=1)
        end = first
        for _ in range(months):
            end = next_month(end)
        return DaySpan(first, end)

    def amount_of(self, period: DaySpan) -> Decimal:
        """Return the amount of a period: of its months, each its own or an even share."""
        months, month = [], period.start.replace(day=1)
        while month < period.end:
            months.append(month)
            month = next_month(month)
        own = [self.amounts[one] for one in months if one in self.amounts]
        rest = Fraction(self.amount) * (len(months) - len(own)) / len(months)
        share = self.amount if not own else EXACT.scaleb(Decimal(rest.numerator * 10**18 // rest.denominator), -18)
        return exact_sum((share, *own))

    def stored(self) -> dict[str, Any]:
        """Return it as JSON, without its name."""
        return {
            "cadence": self.cadence.value,
            "amount": str(self.amount),
            "currency": self.currency,
            "cost_basis": self.cost_basis,
            "filters": [dict(one) for one in self.filters],
            "start": self.start and self.start.isoformat(),
            "end": self.end and self.end.isoformat(),
            "amounts": {month.isoformat(): str(amount) for month, amount in sorted(self.amounts.items())},
        }

    @classmethod
    def of(cls, name: str, stored: Mapping[str, Any]) -> Self:
        """Make one from its name and what `stored` returned."""
        return cls(
            name=name,
            cadence=Cadence(stored["cadence"]),
            amount=Decimal(stored["amount"]),
            currency=stored["currency"],
            cost_basis=stored["cost_basis"],
            filters=tuple(stored["filters"]),
            start=stored["start"] and date.fromisoformat(stored["start"]),
            end=stored["end"] and date.fromisoformat(stored["end"]),
            amounts={date.fromisoformat(month): Decimal(amount) for month, amount in stored["amounts"].items()},
        )
