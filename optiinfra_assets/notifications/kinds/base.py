"""What a finder of occasions gets and returns.

A finder is a function: from a rule and what is known now, to occasions. It may return one again that it has returned before: the same key
is told once. What lasts, such as an account that fails, is a condition: `Found.of_conditions` names where it holds now, and it is told
when it begins, and again only after it has ended. What only changes when something is published is looked for by `Found.of_news`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from optiinfra_assets.domain.alerts import AlertMessage, AlertRule, Occasion
from optiinfra_assets.domain.freshness import Freshness
from optiinfra_assets.domain.subunits import decimal_places
from optiinfra_assets.notifications.budget_standings import BudgetStandings
from optiinfra_assets.warehouse.lineage import newest_publications

if TYPE_CHECKING:
    from optiinfra_assets.metadata import Metadata
    from optiinfra_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class Facts:
    """What finders look at.

    Attributes:
        metadata: the state of accounts and slices; reads are in the transaction that stores what is found.
        warehouse: opens ClickHouse when it is first called.
        now: the present UTC instant.
    """

    metadata: Metadata
    warehouse: Callable[[], Warehouse]
    now: datetime
    _freshness: dict[str, Freshness] = field(default_factory=dict, repr=False)
    _published: dict[str, datetime] = field(default_factory=dict, repr=False)
    _standings: dict[str, BudgetStandings | None] = field(default_factory=dict, repr=False)

    def reached(self, customer_id: str, account_id: str) -> datetime | None:
        """Return up to which UTC instant the data of an account are complete."""
        if customer_id not in self._freshness:
            self._freshness[customer_id] = self.metadata.slices.freshness(customer_id)
        return self._freshness[customer_id].reached.get(account_id)

    def data_through(self, customer_id: str, account_id: str) -> str | None:
        """Return the same as a message has it."""
        reached = self.reached(customer_id, account_id)
        return reached.isoformat() if reached else None

    def standings(self, customer_id: str) -> BudgetStandings | None:
        """Return what tells how budgets of a customer stand, None before its first forecast."""
        if customer_id not in self._standings:
            made = self.metadata.forecasts.newest(self.now, customer_id=customer_id)
            self._standings[customer_id] = (
                BudgetStandings(self.metadata, self.warehouse, customer_id, made, self.now) if made else None
            )
        return self._standings[customer_id]

    def has_published(self, customer_id: str, since: datetime) -> bool:
        """Return whether anything of a customer was published at or after a UTC instant; ClickHouse is asked once for all customers."""
        if not self._published:
            self._published.update(newest_publications(self.warehouse()))
        newest = self._published.get(customer_id)
        return newest is not None and newest >= since


@dataclass(frozen=True, slots=True)
class Found:
    """What a finder found: occasions, and where the condition of the rule holds."""

    occasions: tuple[Occasion, ...] = ()
    standing: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of_news(cls, rule: AlertRule, news: Sequence[object], look: Callable[[], Iterable[Occasion]]) -> Self:
        """Return what `look` finds, which is called only if the news, or the rule, are not those that the rule knows."""
        places = (rule.options, rule.accounts, rule.services, rule.budgets)
        known = hashlib.blake2b(repr((news, places)).encode(), digest_size=8).hexdigest()
        return cls(() if known in rule.standing else tuple(look()), frozenset({known}))

    @classmethod
    def of_conditions(cls, rule: AlertRule, now: datetime, holding: Mapping[str, Callable[[], AlertMessage]]) -> Self:
        """Return what a condition is that holds at some places, each with what makes its message: an occasion where it begins."""
        begun = holding.keys() - set(rule.standing)
        occasions = (Occasion(f"{place} from {now.isoformat()}", holding[place]()) for place in sorted(begun))
        return cls(tuple(occasions), frozenset(holding))


Finder = Callable[[Facts, AlertRule], Found]


def account_path(account_id: str) -> str:
    """Return the page of an account."""
    return f"/accounts/account?{urlencode({'account': account_id})}"


def money(amount: Decimal, currency: str) -> str:
    """Return an amount for people, to the subunit of its currency."""
    return f"{amount:,.{decimal_places(currency)}f} {currency}"


def shown(instant: datetime) -> str:
    """Return a UTC instant for people."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"
