"""The rates that convert one customer's costs: computed once from what is stored, kept until something of it changes, and frozen by month.

A rate of a month that has ended is stored when it is first asked for, before anybody sees it; see `metadata.customer_rates`.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final, NamedTuple

from cachetools import LRUCache

from optiinfra_api.reading.news import RATES, News
from optiinfra_assets.analytics.currency import (
    EURO,
    RATE_DIGITS,
    PairRates,
    Quotes,
    Rate,
    RateMethod,
)
from optiinfra_assets.domain.exact_amounts import EXACT, plain
from optiinfra_assets.metadata.customer_rates import OwnRates, RatesOfPair, own_rates
from optiinfra_assets.metadata.rates import Pair, RateRepository

_CUSTOMERS: Final = 1000
_CURRENCIES: Final = 200


class KnownRate(NamedTuple):
    """A rate, with its value as a number, as text and in units of 10**-36 (a whole number, lowest byte first): a long answer needs them
    for each of its days. Equal ones are one object."""

    value: Decimal
    text: str
    units: bytes
    rate: Rate


RatesByDay = Mapping[str, KnownRate | None]
"""The rate of each day, ``YYYY-MM-DD``; None: there is none."""


@dataclass(slots=True)
class _Known:
    """What is known between two currencies: the rates, and the days of all months that were asked for."""

    rates: RatesOfPair
    months: set[str] = field(default_factory=set)
    days: dict[str, KnownRate | None] = field(default_factory=dict)
    same: dict[Rate, KnownRate] = field(default_factory=dict)

    def add(self, day: date, rate: Rate | None) -> None:
        """Let a day have a rate."""
        if rate is not None and rate not in self.same:
            self.same[rate] = known_rate(rate)
        self.days[day.isoformat()] = None if rate is None else self.same[rate]


@dataclass(frozen=True, slots=True)
class _Customer:
    """What a customer decided, and what is known of it since the news of `stamp`."""

    stamp: object
    method: RateMethod
    own: OwnRates
    pairs: dict[tuple[str, str], _Known] = field(default_factory=dict)


class RateBook:
    """Rates for the 1,000 customers asked about last. Belongs to one event loop."""

    def __init__(
        self,
        rates: RateRepository,
        run: Callable[..., Awaitable[Any]],
        run_for: Callable[..., Awaitable[Any]],
        begin: Callable[[], None],
        news: News,
        today: Callable[[], date],
    ) -> None:
        """
        Args:
            rates: what is stored.
            run: calls a function in a thread.
            run_for: the same, where PostgreSQL shows the rows of the customer only that is its first argument.
            begin: stores rates to begin with, if there are none.
            news: tells of changes.
            today: the present UTC day.
        """
        self._rates = rates
        self._run = run
        self._run_for = run_for
        self._begin: Callable[[], None] | None = begin
        self._news = news
        self._today = today
        self._quotes: LRUCache[str, tuple[object, Quotes]] = LRUCache(_CURRENCIES)
        self._customers: LRUCache[str, _Customer] = LRUCache(_CUSTOMERS)

    async def of(self, customer_id: str, into: str, months: Mapping[str, Collection[str]]) -> dict[str, RatesByDay]:
        """Return from each currency of `months` to `into` the rates of all days of its months.

        Args:
            customer_id: whose.
            into: the currency that is wanted, none of those of `months`.
            months: by currency, months as ``YYYY-MM``.

        Raises:
            MetadataUnavailable: PostgreSQL does not answer.
        """
        if not months:
            return {}
        shared, customer = await self._customer(customer_id)
        found: dict[str, RatesByDay] = {}
        for currency, asked in months.items():
            known = customer.pairs.get((currency, into))
            if known is None:
                known = await self._pair(customer_id, Pair(currency, into, customer.method), shared)
                customer.pairs[currency, into] = known
            if missing := set(asked) - known.months:
                await self._add(customer_id, customer, known, missing)
            found[currency] = known.days
        return found

    async def state(self, customer_id: str) -> tuple[str, RateMethod]:
        """Return a text that changes whenever a rate for this customer may, and which rate converts a charge."""
        _, customer = await self._customer(customer_id)
        return repr((customer.stamp, customer.method)), customer.method

    async def _customer(self, customer_id: str) -> tuple[object, _Customer]:
        shared, stamp = await self._stamps(customer_id)
        customer = self._customers.get(customer_id)
        if customer is None or customer.stamp != stamp:
            customer = self._customers[customer_id] = await self._read(customer_id, stamp)
        return shared, customer

    async def begin(self) -> None:
        """Store rates to begin with, if there are none."""
        if self._begin is not None:
            await self._run(self._begin)
            self._begin = None

    async def _stamps(self, customer_id: str) -> tuple[object, object]:
        """What changes when rates do, and when anything changes that converts the costs of a customer."""
        shared: object = await self._news.stamp(RATES, "")
        if shared is None:
            # No news come: whatever is known counts for a moment.
            shared = int(time.monotonic())
        own = await self._news.stamp(RATES, customer_id, 1.0)
        return shared, (shared, own, self._today())

    async def _read(self, customer_id: str, stamp: object) -> _Customer:
        method = await self._run_for(customer_id, self._rates.method, customer_id=customer_id)
        own = await self._run_for(customer_id, self._rates.overrides, customer_id=customer_id)
        return _Customer(stamp, RateMethod(method), own_rates(own))

    async def _pair(self, customer_id: str, pair: Pair, shared: object) -> _Known:
        quotes = [
            None if one == EURO else await self._quoted(one, shared) for one in (pair.currency, pair.into_currency)
        ]
        frozen = await self._run_for(customer_id, self._rates.frozen, pair, customer_id=customer_id)
        return _Known(RatesOfPair(pair, PairRates(*quotes), frozen))

    async def _quoted(self, currency: str, shared: object) -> Quotes:
        await self.begin()
        known = self._quotes.get(currency)
        if known is None or known[0] != shared:
            known = self._quotes[currency] = shared, await self._run(self._rates.quotes, currency)
        return known[1]

    async def _add(self, customer_id: str, customer: _Customer, known: _Known, months: Collection[str]) -> None:
        """Find the rates of more months, and freeze those that have to stay."""
        rates = known.rates
        found, freezing = rates.of_months(months, customer.own, self._today())
        if freezing:
            rates.keep(await self._run(self._rates.freeze, rates.pair, freezing, customer_id=customer_id))
        for day, rate in rates.used(found).items():
            known.add(day, rate)
        known.months.update(months)


def known_rate(rate: Rate) -> KnownRate:
    """Return a rate with its text and its units."""
    units = int(EXACT.to_integral_exact(EXACT.scaleb(rate.value, RATE_DIGITS)))
    return KnownRate(rate.value, plain(rate.value), units.to_bytes(-(-units.bit_length() // 16) * 2, "little"), rate)
