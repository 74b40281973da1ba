"""The log of what was done with credentials and master keys. PostgreSQL refuses to change or remove a line of it."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from optiinfra_assets.database.postgres import Repository, Row
from optiinfra_assets.domain.accounts import Account

Action = Literal["create", "update", "rotate", "reveal", "delete", "purge", "rewrap", "retire_key"]
Purpose = Literal["collect", "probe", "discover", "test"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts and from where: a token's id and the address of its request, or a part of the platform and its process."""

    name: str
    origin: str

    @classmethod
    def here(cls, name: str) -> Self:
        """`name` acting in this process."""
        return cls(name, f"{socket.gethostname()}:{os.getpid()}")


@dataclass(frozen=True, slots=True)
class CredentialAuditRecord:
    """One line of the log. Times are UTC.

    Attributes:
        id: grows with every line; pages are cut by it.
        actor: who.
        origin: from where.
        outcome: ``done``, or ``refused`` with the reason in `detail`.
        version: which of the secrets the credential has had.
        key_id: the master key in use for it then; after ``rewrap`` the new one, with the one before in `detail`.
        purpose: what a revealed secret was for.
        run_id: the Dagster run it was revealed to.
        detail: why it was refused; of a change of settings, their names.
    """

    id: int
    at: datetime
    actor: str
    origin: str
    action: Action
    outcome: Literal["done", "refused"]
    customer_id: str | None
    account_id: str | None
    credential_id: str | None
    version: int | None
    key_id: str | None
    purpose: Purpose | None
    run_id: str | None
    detail: str | None


class CredentialAuditRepository(Repository):
    """The part of `Credentials` on its log."""

    def audit(
        self,
        *,
        first: int = 50,
        before: int | None = None,
        customer_id: str | None = None,
        account_id: str | None = None,
        action: Action | None = None,
    ) -> list[CredentialAuditRecord]:
        """At most `first` lines, newest first, with an id below `before`; each filter that is given must match."""
        values = {"first": first, "before": before, "customer_id": customer_id}
        rows = self._database.rows("credential_audit.sql", {**values, "account_id": account_id, "action": action})
        return [CredentialAuditRecord(**row) for row in rows]

    def note(self, actor: Actor, action: Action, account: Account, detail: str | None = None) -> None:
        """Log an act on an account that stored no secret: on its settings, or at a provider that has no secrets."""
        unknown = {"credential_id": None, "version": None, "key_id": None}
        row = self._database.row("credential_sealed.sql", {"account_id": account.account_id}) or {
            "customer_id": account.customer_id,
            "account_id": account.account_id,
            **unknown,
        }
        self._note(actor, action, row, detail=detail)

    def _note(
        self,
        actor: Actor,
        action: Action,
        credential: Row,
        *,
        refused: Exception | None = None,
        detail: str | None = None,
        purpose: Purpose | None = None,
        run_id: str | None = None,
    ) -> None:
        """Log an act on the row `credential`; what changes a row logs itself in the same statement."""
        named = ("customer_id", "account_id", "credential_id", "version", "key_id")
        values = {
            **by(actor),
            "action": action,
            "outcome": "done" if refused is None else "refused",
            **{name: credential[name] for name in named},
            "purpose": purpose,
            "run_id": run_id,
            "detail": detail if refused is None else str(refused),
        }
        self._database.rows("credential_note.sql", values)


def by(actor: Actor) -> Row:
    """The values of the log's first columns."""
    return {"actor": actor.name, "origin": actor.origin}
