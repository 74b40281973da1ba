"""Budgets of customers, with the history of their changes."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, Final

from psycopg.types.json import Jsonb

from optiinfra_assets.database.errors import RecordNotFound
from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.domain.budgets import Budget, Cadence
from optiinfra_assets.domain.exact_amounts import plain
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.vault.credential_audit import Actor, by

MOST_BUDGETS: Final = 1000
"""Budgets that a customer can have."""


@dataclass(frozen=True, slots=True)
class StoredBudget:
    """A budget under its id. Times are UTC.

    Attributes:
        problem: why it cannot be used, as when an earlier version took it that checked less; None: it can. Others stand beside it.
    """

    budget_id: str
    customer_id: str
    budget: Budget
    created_at: datetime
    changed_at: datetime
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class BudgetChange:
    """A change of a budget; `budget` is as it was from then on, None: it was removed."""

    budget_id: str
    at: datetime
    author_name: str
    budget: Budget | None


class BudgetRepository(Repository):
    """Reads, stores and removes budgets."""

    def find(
        self,
        *,
        customer_id: str,
        budget_id: str | None = None,
        after: tuple[str, str] | None = None,
        most: int = MOST_BUDGETS,
    ) -> list[StoredBudget]:
        """Return at most so many budgets of a customer by name, after one of a name and id; or the one of an id."""
        name, id_ = after or (None, None)
        values = {"customer_id": customer_id, "budget_id": budget_id, "after": name, "after_id": id_, "most": most}
        return [_stored(row) for row in self._database.rows("budgets.sql", values)]

    def changes(self, budget_ids: Sequence[str], *, customer_id: str) -> list[BudgetChange]:
        """Return the changes of some budgets, the newest first."""
        rows = self._database.rows("budget_changes.sql", {"customer_id": customer_id, "budget_ids": list(budget_ids)})
        return [
            BudgetChange(
                row["budget_id"],
                row["at"],
                row["author_name"],
                _read(row["name"], row["definition"])[0] if row["definition"] else None,
            )
            for row in rows
        ]

    def save(
        self,
        budget: Budget,
        budget_id: str | None = None,
        *,
        customer_id: str,
        principal: Principal,
        now: datetime,
        origin: str | None = None,
    ) -> StoredBudget:
        """Store a budget: a new one, or in the place of the one with that id. `origin`: the address of the request; None: this process.

        Raises:
            ValueError: it is not accepted, another has its name, or there are too many.
            RecordNotFound: the customer has no budget with that id, or there is no such customer.
        """
        budget.check()
        with self._database.transaction():
            if not self._database.rows("lock_customer.sql", {"customer_id": customer_id}):
                raise RecordNotFound(f"customer: {customer_id!r} does not exist")
            found = self.find(customer_id=customer_id)
            if budget_id is not None and budget_id not in {one.budget_id for one in found}:
                raise RecordNotFound(f"budget: {budget_id!r} does not exist")
            if any(one.budget.name == budget.name and one.budget_id != budget_id for one in found):
                raise ValueError(f"name: another budget is called {budget.name!r}")
            if budget_id is None and len(found) >= MOST_BUDGETS:
                raise ValueError(f"name: this customer has {MOST_BUDGETS} budgets already: remove one first")
            values = {
                "budget_id": budget_id or secrets.token_hex(6),
                "customer_id": customer_id,
                "name": budget.name,
                "definition": Jsonb(budget.stored()),
                "detail": f"{plain(budget.amount)} {budget.currency} {budget.cadence}",
                "now": now,
                **_by(principal, origin),
            }
            (row,) = self._database.rows("save_budget.sql", values)
        return _stored(row)

    def remove(
        self, budget_id: str, *, customer_id: str, principal: Principal, now: datetime, origin: str | None = None
    ) -> StoredBudget:
        """Remove a budget and return what it was.

        Raises:
            RecordNotFound: the customer has no budget with that id.
        """
        found = self.find(customer_id=customer_id, budget_id=budget_id)
        if not found:
            raise RecordNotFound(f"budget: {budget_id!r} does not exist")
        values = {"budget_id": budget_id, "customer_id": customer_id, "now": now}
        self._database.rows("remove_budget.sql", values | _by(principal, origin))
        return found[0]


def _by(principal: Principal, origin: str | None) -> dict[str, str]:
    return {"author_name": principal.name, **by(Actor.of(principal.token_id, origin))}


def _stored(row: dict[str, Any]) -> StoredBudget:
    budget, problem = _read(row["name"], row["definition"])
    return StoredBudget(row["budget_id"], row["customer_id"], budget, row["created_at"], row["changed_at"], problem)


def _read(name: str, definition: dict[str, Any]) -> tuple[Budget, str | None]:
    """Return a budget as it is stored, and why it cannot be used. What cannot be read at all is one of nothing, in no currency."""
    try:
        budget = Budget.of(name, definition)
        budget.charges  # noqa: B018
    except (ArithmeticError, AttributeError, KeyError, TypeError, ValueError) as error:
        return Budget(name, Cadence.MONTHLY, Decimal(0), "XXX"), f"{type(error).__name__}: {error}"
    try:
        budget.check()
    except ValueError as error:
        return budget, str(error)
    return budget, None
