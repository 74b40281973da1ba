"""The log of what was done with customers and API tokens. PostgreSQL refuses to change or remove a line of it.

Each statement that changes one of them writes its line itself, so that there is no change without its line.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from optiinfra_assets.database.postgres import Repository
from optiinfra_assets.metadata.tokens import Role

AccessAction = Literal["create_customer", "rename_customer", "create_token", "revoke_token"]


@dataclass(frozen=True, slots=True)
class AccessEntry:
    """One line of the log. Times are UTC.

    Attributes:
        id: grows with every line; pages are cut by it.
        actor: who: the id of a token, or a part of the platform.
        origin: from where: the address of a request, or a process.
        customer_id: whose; None: a token for all customers.
        token_id: the token made or revoked; None for an act on a customer.
        role: that of the token.
        name: of the customer or the token.
        detail: for a rename, the name before.
    """

    id: int
    at: datetime
    actor: str
    origin: str
    action: AccessAction
    customer_id: str | None
    token_id: str | None
    role: Role | None
    name: str
    detail: str | None


class AccessAuditRepository(Repository):
    """The part of `Metadata` on this log."""

    def find(self, *, first: int = 50, before: int | None = None, customer_id: str | None = None) -> list[AccessEntry]:
        """At most `first` lines, newest first, with an id below `before`; only of one customer if it is given."""
        values = {"first": first, "before": before, "customer_id": customer_id}
        return [AccessEntry(**row) for row in self._database.rows("access_audit.sql", values)]
