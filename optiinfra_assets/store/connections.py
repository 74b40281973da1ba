"""Accounts as their owners manage them: what is set, what secret there is (never the secret), and how the last probe went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from psycopg.types.json import Jsonb

from optiinfra_assets.model import Account
from optiinfra_assets.store.errors import NotFound
from optiinfra_assets.store.postgres import Database, Row

_STATE = ("created_at", "last_probe_at", "last_change_at", "last_error")
_SECRET = ("version", "key_id", "updated_at", "rotated_at", "deleted_at")


@dataclass(frozen=True, slots=True)
class Connection:
    """An account and what is known of its secret and its last probes. Times are UTC, None if it never happened.

    Attributes:
        is_active: it is collected.
        version: which secret the credential has; None where none is stored.
        key_id: the master key that wraps its data key.
        updated_at: when settings or secret were last stored, but for the first settings.
        rotated_at: when the secret was last replaced on purpose.
        deleted_at: since when it is not collected.
        last_error: one line of the last probe, None if it went well.
    """

    account: Account
    is_active: bool
    version: int | None
    key_id: str | None
    created_at: datetime
    updated_at: datetime | None
    rotated_at: datetime | None
    deleted_at: datetime | None
    last_probe_at: datetime | None
    last_change_at: datetime | None
    last_error: str | None


class Connections(Database):
    """The part of `Metadata` on accounts as one customer sees its own."""

    def connections(
        self, customer_id: str, *, first: int, after: str | None = None, include_deleted: bool = False
    ) -> list[Connection]:
        """At most `first` accounts of a customer, by id, above the account id `after`."""
        values = {"customer_id": customer_id, "account_id": None, "first": first, "after": after}
        rows = self._rows("connections.sql", {**values, "include_deleted": include_deleted})
        return [_connection(row) for row in rows]

    def connection(self, customer_id: str, account_id: str) -> Connection:
        """One account of a customer, collected or not.

        Raises:
            NotFound: the customer has none of that id.
        """
        values = {"customer_id": customer_id, "account_id": account_id, "first": 1, "after": None}
        row = self._row("connections.sql", {**values, "include_deleted": True})
        if row is None:
            raise NotFound(f"account: {account_id!r} does not exist")
        return _connection(row)

    def change_settings(self, account_id: str, settings: Row) -> list[str]:
        """Give an active account other settings; the names of those that differ.

        Raises:
            NotFound: there is no active account of that id.
        """
        row = self._row("change_settings.sql", {"account_id": account_id, "settings": Jsonb(settings)})
        if row is None:
            raise NotFound(f"account: {account_id!r} is not active")
        old: Row = row["settings"]
        return sorted(name for name in old.keys() | settings.keys() if old.get(name) != settings.get(name))


def _connection(row: Row) -> Connection:
    named = ("account_id", "customer_id", "provider", "settings", "is_simulated")
    account = Account(**{name: row[name] for name in named})
    known = {name: row[name] for name in (*_STATE, *_SECRET)}
    return Connection(account=account, is_active=row["status"] == "active", **known)
