"""What a finder of occasions gets and returns.

A finder is a function: from a rule and what is known now, to occasions. It may return one again that it has returned before: the same key
is told once. What lasts, such as an account that fails, is a condition: `Found.of_conditions` names where it holds now, and it is told
when it begins, and again only after it has ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Self
from urllib.parse import urlencode

from optiinfra_assets.domain.alerts import AlertMessage, AlertRule, Occasion
from optiinfra_assets.domain.freshness import Freshness
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

    def data_through(self, customer_id: str, account_id: str) -> str | None:
        """Return up to which instant the data of an account are complete, as a message has it."""
        if customer_id not in self._freshness:
            self._freshness[customer_id] = self.metadata.slices.freshness(customer_id)
        reached = self._freshness[customer_id].reached.get(account_id)
        return reached.isoformat() if reached else None

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
    def of_conditions(cls, rule: AlertRule, now: datetime, holding: Mapping[str, Callable[[], AlertMessage]]) -> Self:
        """Return what a condition is that holds at some places, each with what makes its message: an occasion where it begins."""
        begun = holding.keys() - set(rule.standing)
        occasions = (Occasion(f"{place} from {now.isoformat()}", holding[place]()) for place in sorted(begun))
        return cls(tuple(occasions), frozenset(holding))


Finder = Callable[[Facts, AlertRule], Found]


def account_path(account_id: str) -> str:
    """Return the page of an account."""
    return f"/accounts/account?{urlencode({'account': account_id})}"


def shown(instant: datetime) -> str:
    """Return a UTC instant for people."""
    return f"{instant:%Y-%m-%d %H:%M} UTC"
