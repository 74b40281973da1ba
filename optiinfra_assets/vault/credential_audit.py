"""The audit log of credentials and master keys. PostgreSQL refuses to change or remove its lines."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, Self

from optiinfra_assets.database.postgres import Repository, Row
from optiinfra_assets.domain.accounts import Account

Action = Literal["create", "update", "rotate", "reveal", "delete", "purge", "rewrap", "retire_key"]
Purpose = Literal["collect", "probe", "discover", "test", "deliver", "notify"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, and from where: the id of a token and the address of its request, or a part of the platform and its process."""

    name: str
    origin: str

    @classmethod
    def here(cls, name: str) -> Self:
        """Return the actor `name` in this process; its origin is ``<host>:<process id>``."""
        return cls(name, f"{socket.gethostname()}:{os.getpid()}")

    @classmethod
    def of(cls, name: str, origin: str | None) -> Self:
        """Return the actor `name` from an address; None: in this process."""
        return cls.here(name) if origin is None else cls(name, origin)


@dataclass(frozen=True, slots=True)
class CredentialAuditRecord:
    """One line of the audit log. Times are UTC.

    Attributes:
        id: increases with every line; the cursor of pages.
        actor: who did it.
        origin: from where.
        outcome: ``done``, or ``refused`` with the reason in `detail`.
        version: version of the credential's secret.
        key_id: the master key that wrapped it then; after ``rewrap`` the new one, with the previous one in `detail`.
        purpose: why a secret was revealed.
        run_id: the Dagster run to which it was revealed.
        detail: the reason of a refusal; for a change of settings, their names.
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
    """Reads and writes the audit log; the base of `CredentialRepository`."""

    def audit(
        self,
        *,
        first: int = 50,
        before: int | None = None,
        customer_id: str | None = None,
        account_id: str | None = None,
        action: Action | None = None,
    ) -> list[CredentialAuditRecord]:
        """Return at most `first` lines, newest first, with an id below `before`; they match every given filter."""
        values = {"first": first, "before": before, "customer_id": customer_id}
        rows = self._database.rows("credential_audit.sql", {**values, "account_id": account_id, "action": action})
        return [CredentialAuditRecord(**row) for row in rows]

    def note(self, actor: Actor, action: Action, account: Account, detail: str | None = None) -> None:
        """Log a change to an account that stored no secret: a change of settings, or an account without secret fields."""
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
        """Log an action on the row `credential`. Statements that change such a row write their log line themselves."""
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
    """Return the parameters ``actor`` and ``origin`` of statements that write to an audit log."""
    return {"actor": actor.name, "origin": actor.origin}
