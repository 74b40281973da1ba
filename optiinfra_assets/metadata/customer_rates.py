"""The rates that convert one customer's costs: its own rates and method, what sources quote, and the rates that stay once they were used.

This is the one definition of them: `RatesOfPair` is what an API keeps between requests, `RatesOfCustomer` what one look at costs asks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import cached_property

from optiinfra_assets.analytics.currency import (
    EURO,
    PairRates,
    Rate,
    RateMethod,
    final_rates,
    inverse,
    month_rates,
)
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.metadata.rates import FrozenRate, Pair, RateOverride, RateRepository

OwnRates = Mapping[tuple[date, str, str], Decimal]
"""A customer's own rates by the first day of their month, the currency of the amounts, and the one that is wanted."""


def own_rates(overrides: Iterable[RateOverride]) -> OwnRates:
    """Return a customer's own rates in both directions; one that is set goes before one that is inverted."""
    given = list(overrides)
    rates = {(one.month, one.into_currency, one.currency): inverse(one.rate) for one in given}
    return rates | {(one.month, one.currency, one.into_currency): one.rate for one in given}


class RatesOfPair:
    """What is known between two currencies for one customer: the quotes, and the rates that are frozen."""

    def __init__(self, pair: Pair, rates: PairRates, frozen: Collection[FrozenRate]) -> None:
        self.pair = pair
        self._rates = rates
        self._frozen: dict[date, Rate] = {}
        self.keep(frozen)

    def of_months(
        self, months: Iterable[str], own: OwnRates, today: date
    ) -> tuple[dict[date, Rate | None], list[FrozenRate]]:
        """Return the rates of all days of some months, and those of them that have to be frozen before anybody sees them.

        Args:
            months: as ``YYYY-MM``.
            own: the customer's own rates.
            today: the present UTC day.
        """
        found: dict[date, Rate | None] = {}
        freezing: list[FrozenRate] = []
        method = RateMethod(self.pair.method)
        for text in months:
            month = BillingPeriod.parse(text)
            override = own.get((month.start.date(), self.pair.currency, self.pair.into_currency))
            rates = month_rates(self._rates, month, method, override)
            found |= rates
            final = final_rates(rates, today, self._rates.newest, method)
            freezing += [
                FrozenRate(day, rate.value, rate.day or day, rate.source)
                for day, rate in final.items()
                if day not in self._frozen
            ]
        return found, freezing

    def keep(self, frozen: Collection[FrozenRate]) -> None:
        """Take the rates that are frozen now, all of them."""
        self._frozen = {one.day: Rate(one.rate, one.quoted, one.source) for one in frozen}

    def used(self, rates: Mapping[date, Rate | None]) -> dict[date, Rate | None]:
        """Return the rates of days, of which the frozen ones are as they were frozen."""
        return {day: self._frozen.get(day, rate) for day, rate in rates.items()}


@dataclass(frozen=True)
class RatesOfCustomer:
    """The rates of one customer, as they are while it is asked.

    Attributes:
        rates: what is stored.
        today: the present UTC day.
    """

    rates: RateRepository
    customer_id: str
    today: date
    _pairs: dict[tuple[str, str], RatesOfPair] = field(default_factory=dict, repr=False)

    @cached_property
    def method(self) -> str:
        """Which rate converts a charge, one of `METHODS`."""
        return self.rates.method(customer_id=self.customer_id)

    @cached_property
    def _overrides(self) -> list[RateOverride]:
        return self.rates.overrides(customer_id=self.customer_id)

    @cached_property
    def state(self) -> tuple[object, ...]:
        """What differs whenever a rate may: when a quote last came, which rate converts, and the customer's own rates."""
        return self.rates.changed_at(), self.method, tuple(self._overrides)

    def of(self, into: str, months: Mapping[str, Collection[str]]) -> dict[str, dict[date, Rate | None]]:
        """Return from each currency of `months` to `into` the rates of all days of its months; those that have to stay are frozen.

        Args:
            into: the currency that is wanted, none of those of `months`.
            months: by currency, months as ``YYYY-MM``.
        """
        own = own_rates(self._overrides)
        found = {}
        for currency, asked in months.items():
            known = self._pair(currency, into)
            rates, freezing = known.of_months(asked, own, self.today)
            if freezing:
                known.keep(self.rates.freeze(known.pair, freezing, customer_id=self.customer_id))
            found[currency] = known.used(rates)
        return found

    def _pair(self, currency: str, into: str) -> RatesOfPair:
        if (currency, into) not in self._pairs:
            pair = Pair(currency, into, self.method)
            quotes = [None if one == EURO else self.rates.quotes(one) for one in (currency, into)]
            frozen = self.rates.frozen(pair, customer_id=self.customer_id)
            self._pairs[currency, into] = RatesOfPair(pair, PairRates(*quotes), frozen)
        return self._pairs[currency, into]
