"""The audit log of changes to customers and API tokens. PostgreSQL refuses to change or remove its lines.

Each statement that changes a customer or a token also writes the log line, so that there is no change without one.
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
        id: increases with every line; the cursor of pages.
        actor: who did it: the id of a token, or a part of the platform.
        origin: from where: the address of a request, or a process.
        customer_id: the customer concerned; None: a token for all customers.
        token_id: the token issued or revoked; None for a change to a customer.
        role: role of the token.
        name: name of the customer or the token.
        detail: for a rename, the previous name.
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
    """Reads the audit log."""

    def find(self, *, first: int = 50, before: int | None = None, customer_id: str | None = None) -> list[AccessEntry]:
        """Return at most `first` lines, newest first, with an id below `before`; of one customer if `customer_id` is given."""
        values = {"first": first, "before": before, "customer_id": customer_id}
        return [AccessEntry(**row) for row in self._database.rows("access_audit.sql", values)]
