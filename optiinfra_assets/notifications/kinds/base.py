"""What a finder of occasions gets and returns.

A finder is a function: from a rule and what is known now, to occasions. It may return one again that it has returned before: the same key
is told once. What lasts, such as an account that fails, is a condition: `Found.of_conditions` names where it holds now, and it is told
when it begins, and again only after it has ended. What only changes when something is published is looked for by `Found.of_news`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Mapping
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
        is_late: whether the time for this run is over, so that no further long look is begun.
    """

    metadata: Metadata
    warehouse: Callable[[], Warehouse]
    now: datetime
    is_late: Callable[[], bool] = lambda: False
    _freshness: dict[str, Freshness] = field(default_factory=dict, repr=False)
    _published: dict[str, datetime] = field(default_factory=dict, repr=False)
    _standings: dict[str, BudgetStandings] = field(default_factory=dict, repr=False)

    def reached(self, customer_id: str, account_id: str) -> datetime | None:
        """Return up to which UTC instant the data of an account are complete."""
        if customer_id not in self._freshness:
            self._freshness[customer_id] = self.metadata.slices.freshness(customer_id)
        return self._freshness[customer_id].reached.get(account_id)

    def data_through(self, customer_id: str, account_id: str) -> str | None:
        """Return the same as a message has it."""
        reached = self.reached(customer_id, account_id)
        return reached.isoformat() if reached else None

    def standings(self, customer_id: str) -> BudgetStandings:
        """Return what tells how budgets of a customer stand."""
        if customer_id not in self._standings:
            made = self.metadata.forecasts.newest(self.now, customer_id=customer_id)
            self._standings[customer_id] = BudgetStandings(self.metadata, self.warehouse, customer_id, made, self.now)
        return self._standings[customer_id]

    def published(self, customer_id: str) -> datetime | None:
        """Return when something of a customer was published last, None if nothing was; ClickHouse is asked once for all customers."""
        if not self._published:
            self._published.update(newest_publications(self.warehouse()))
        return self._published.get(customer_id)

    def has_published(self, customer_id: str, since: datetime) -> bool:
        """Return whether anything of a customer was published at or after a UTC instant."""
        newest = self.published(customer_id)
        return newest is not None and newest >= since


Look = Callable[[], Iterable[Occasion]]


@dataclass(frozen=True, slots=True)
class Found:
    """What a finder found: occasions, and where the condition of the rule holds."""

    occasions: tuple[Occasion, ...] = ()
    standing: frozenset[str] = field(default_factory=frozenset)

    @classmethod
    def of_news(cls, facts: Facts, rule: AlertRule, looks: Mapping[str, tuple[object, Look]]) -> Self:
        """Return what looks find, each of which is taken only if its news, or the rule, are not those that the rule knows.

        What holds on is not found again, even if it does so for longer than occasions are kept. Looks for which time does not suffice are
        taken the next time.

        Args:
            facts: say whether there is time.
            rule: remembers what it knows in `standing`.
            looks: by the first word of the keys of what they find, each with its news.
        """
        occasions: list[Occasion] = []
        standing: set[str] = set()
        for name, (news, look) in looks.items():
            held = {one for one in rule.standing if one.startswith(f"{name} ")}
            known = f"{name} knows {_digest(news, rule)}"
            if known in held:
                standing |= held
            elif facts.is_late():
                standing |= {one for one in held if not one.startswith(f"{name} knows ")}
            else:
                found = list(look())
                occasions += [one for one in found if one.key not in held]
                standing |= {known, *(one.key for one in found)}
        return cls(tuple(occasions), frozenset(standing))

    @classmethod
    def of_conditions(cls, rule: AlertRule, now: datetime, holding: Mapping[str, Callable[[], AlertMessage]]) -> Self:
        """Return what a condition is that holds at some places, each with what makes its message: an occasion where it begins."""
        begun = holding.keys() - set(rule.standing)
        occasions = (Occasion(f"{place} from {now.isoformat()}", holding[place]()) for place in sorted(begun))
        return cls(tuple(occasions), frozenset(holding))


Finder = Callable[[Facts, AlertRule], Found]


def _digest(news: object, rule: AlertRule) -> str:
    about = (news, rule.options, rule.accounts, rule.services, rule.budgets)
    return hashlib.blake2b(repr(about).encode(), digest_size=8).hexdigest()


def account_path(account_id: str) -> str:
    """Return the page of an account."""
    return f"/accounts/account?{urlencode({'account': account_id})}"


def money(amount: Decimal, currency: str) -> str:
    """Return an amount for people, to the subunit of its currency."""
    return f"{amount:,.{decimal_places(currency)}f} {currency}"


def shown(instant: datetime) -> str:
    """Return a UTC instant for people."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"
