"""Rates between currencies: what sources quote per euro, a customer's own rates and setting, and the rates that stay as they were used.

Whoever changes something of a customer is named in the access audit log.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.domain.rates import check_pair
from optiinfra_assets.vault.credential_audit import Actor, by

METHODS: Final = ("day", "month")
"""What converts a charge: the rate of its day, or the average of its month."""


class MonthFrozen(ValueError):
    """Charges of the month were converted already, so its rates stay until somebody says otherwise."""


@dataclass(frozen=True, slots=True)
class Update:
    """How many rates a file brought: those it has, and of these the new ones and those with another value than before."""

    rates: int
    added: int
    changed: int


@dataclass(frozen=True, slots=True)
class StoredRate:
    """What a source quotes. `per_euro`: units of the currency for one euro; `stored_at` is UTC."""

    currency: str
    day: date
    per_euro: Decimal
    source: str
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class RateExtent:
    """What is stored of one source: how many rates, of how many currencies, the first and the last day, and when something last came."""

    source: str
    rates: int
    currencies: int
    first_day: date
    last_day: date
    stored_at: datetime


@dataclass(frozen=True, slots=True)
class RateOverride:
    """A customer's own rate: what one unit of a currency is worth in another one in the month that begins with `month`. `set_at` is UTC."""

    month: date
    currency: str
    into_currency: str
    rate: Decimal
    set_at: datetime


@dataclass(frozen=True, slots=True)
class FrozenRate:
    """The rate that charges of `day` were converted by; `quoted` and `source`: of the quote."""

    day: date
    rate: Decimal
    quoted: date
    source: str


@dataclass(frozen=True, slots=True)
class Pair:
    """From one currency to another one, and how a charge is converted, one of `METHODS`."""

    currency: str
    into_currency: str
    method: str


class RateRepository(Repository):
    """Reads and writes rates."""

    def is_empty(self) -> bool:
        """Return whether no rate is stored."""
        (row,) = self._database.rows("has_rates.sql")
        return not row["has_rates"]

    def update(self, source: str, rates: Iterable[tuple[date, str, Decimal]]) -> Update:
        """Store rates: date, currency, units for one euro. Those that are stored already change nothing."""
        given = list(rates)
        # As one text: the driver takes ten times as long for arrays of numbers and dates.
        values = {"source": source, "lines": "\n".join(f"{day} {currency} {rate:f}" for day, currency, rate in given)}
        with self._database.transaction():
            self._database.rows("lock_rates.sql")
            stored = self._database.rows("update_rates.sql", values)
        added = sum(row["is_new"] for row in stored)
        return Update(len(given), added, len(stored) - added)

    def quotes(self, currency: str) -> dict[date, tuple[Decimal, str]]:
        """Return all rates of a currency: units for one euro, and the source, by date."""
        rows = self._database.rows("rates_of_currency.sql", {"currency": currency})
        return {row["day"]: (row["per_euro"], row["source"]) for row in rows}

    def find(self, day: date | None = None, currency: str | None = None) -> list[StoredRate]:
        """Return the newest rate of each currency, or of one, that is of `day` or at most two weeks before; by currency.

        `day` None: the newest day of all.
        """
        rows = self._database.rows("rates_of_day.sql", {"day": day, "currency": currency})
        return [StoredRate(**row) for row in rows]

    def extent(self) -> list[RateExtent]:
        """Return what is stored, by source."""
        return [RateExtent(**row) for row in self._database.rows("rate_extent.sql")]

    def changed_at(self) -> datetime | None:
        """Return when a rate was last stored, None before the first."""
        (row,) = self._database.rows("rates_changed_at.sql")
        found: datetime | None = row["stored_at"]
        return found

    def overrides(self, *, customer_id: str) -> list[RateOverride]:
        """Return a customer's own rates, the newest month first."""
        return [RateOverride(**row) for row in self._database.rows("rate_overrides.sql", {"customer_id": customer_id})]

    def override(
        self,
        month: date,
        currency: str,
        into_currency: str,
        rate: Decimal,
        *,
        customer_id: str,
        actor: Actor,
        reopen: bool = False,
    ) -> RateOverride:
        """Set a customer's own rate for a month.

        Args:
            month: its first day.
            currency: of the amounts.
            into_currency: what one unit of it is worth `rate` of.
            rate: above 0.
            customer_id: whose.
            actor: who does it, for the log.
            reopen: also if charges of the month were converted already.

        Raises:
            ValueError: a currency is none, or they are the same.
            RecordNotFound: there is no such customer.
            MonthFrozen: they were, and `reopen` is False.
        """
        check_pair(currency, into_currency)
        values = _of_override(customer_id, month, currency, into_currency, actor)
        with self._database.transaction():
            self._lock(customer_id)
            self._thaw(values, reopen=reopen)
            (row,) = self._database.rows("rate_override_set.sql", values | {"rate": rate})
        return _override(row)

    def remove_override(
        self,
        month: date,
        currency: str,
        into_currency: str,
        *,
        customer_id: str,
        actor: Actor,
        reopen: bool = False,
    ) -> RateOverride:
        """Remove a customer's own rate and return what it was; the arguments are those of `override`.

        Raises:
            RecordNotFound: there is none.
            MonthFrozen: as in `override`.
        """
        values = _of_override(customer_id, month, currency, into_currency, actor)
        with self._database.transaction():
            self._lock(customer_id)
            row = self._database.row("rate_override_remove.sql", values)
            if row is None:
                raise RecordNotFound(f"rate: {values['name']} has no rate of {customer_id}'s own")
            self._thaw(values, reopen=reopen)
        return _override(row)

    def _lock(self, customer_id: str) -> None:
        if self._database.row("lock_customer.sql", {"customer_id": customer_id}) is None:
            raise RecordNotFound(f"customer: {customer_id!r} does not exist")

    def _thaw(self, values: Mapping[str, Any], *, reopen: bool) -> None:
        (row,) = self._database.rows("frozen_months.sql", values)
        if not row["is_frozen"]:
            return
        if not reopen:
            raise MonthFrozen(f"month: costs of {values['name']} were converted already, and their rates stay")
        self._database.rows("thaw_rates.sql", values)

    def method(self, *, customer_id: str) -> str:
        """Return which rate converts a customer's charges, one of `METHODS`."""
        row = self._database.row("rate_method.sql", {"customer_id": customer_id})
        return str(row["method"]) if row else METHODS[0]

    def set_method(self, method: str, *, customer_id: str, actor: Actor) -> str:
        """Set which rate converts a customer's charges, one of `METHODS`."""
        with self._database.transaction():
            self._lock(customer_id)
            before = self.method(customer_id=customer_id)
            if before != method:
                values = {"customer_id": customer_id, "method": method, "before": before, **by(actor)}
                self._database.rows("rate_method_set.sql", values)
        return method

    def frozen(self, pair: Pair, *, customer_id: str) -> list[FrozenRate]:
        """Return the frozen rates of a customer between two currencies."""
        return [FrozenRate(**row) for row in self._database.rows("frozen_rates.sql", _of_pair(pair, customer_id))]

    def freeze(self, pair: Pair, rates: Sequence[FrozenRate], *, customer_id: str) -> list[FrozenRate]:
        """Freeze rates of days that are not frozen yet, and return all that are: whoever is first decides."""
        values = {
            **_of_pair(pair, customer_id),
            "days": [one.day for one in rates],
            "rates": [one.rate for one in rates],
            "quoted": [one.quoted for one in rates],
            "sources": [one.source for one in rates],
        }
        self._database.rows("freeze_rates.sql", values)
        return self.frozen(pair, customer_id=customer_id)


def _of_pair(pair: Pair, customer_id: str) -> dict[str, str]:
    return {
        "customer_id": customer_id,
        "method": pair.method,
        "currency": pair.currency,
        "into_currency": pair.into_currency,
    }


def _of_override(customer_id: str, month: date, currency: str, into_currency: str, actor: Actor) -> dict[str, Any]:
    return {
        "customer_id": customer_id,
        "month": month.replace(day=1),
        "currency": currency,
        "into_currency": into_currency,
        "name": f"{month:%Y-%m} {currency} to {into_currency}",
        **by(actor),
    }


def _override(row: Mapping[str, Any]) -> RateOverride:
    return RateOverride(**{name: row[name] for name in RateOverride.__dataclass_fields__})
