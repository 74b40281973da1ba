"""Customers and their accounts: what is set, what secret there is (never the secret), and how the last probe went."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.errors import ForeignKeyViolation
from psycopg.types.json import Jsonb

from optiinfra_assets.database.errors import AlreadyExists, RecordNotFound
from optiinfra_assets.database.postgres import Repository, Row
from optiinfra_assets.domain.accounts import Account, check_name, check_slug
from optiinfra_assets.vault.credential_audit import Actor, by


@dataclass(frozen=True, slots=True)
class Customer:
    """One tenant. `created_at` is UTC."""

    customer_id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account and what is known of its last probes; times are UTC, None before the first.

    Attributes:
        status: ``active`` or ``disabled``.
        last_probe_at: the last probe that got an answer.
        last_change_at: the last probe that found something changed.
        last_error: one line of the last probe, None if it went well.
    """

    account: Account
    status: str
    created_at: datetime
    last_probe_at: datetime | None
    last_change_at: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class ConnectedAccount:
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


class CustomerRepository(Repository):
    """The tenants."""

    def add(self, customer_id: str, name: str | None = None, actor: Actor | None = None) -> Customer:
        """Add a customer, or return the one that is there; `name` defaults to the id, and renames if given. What changed is on record.

        Args:
            customer_id: lower-case letters, digits, '-', '_' and '.'.
            name: what people call it.
            actor: who does it; None: this process.

        Raises:
            ValueError: the id or the name is not accepted.
        """
        values = _named(customer_id, customer_id if name is None else name, actor)
        (row,) = self._database.rows("add_customer.sql", {**values, "name": name})
        return Customer(**row)

    def create(self, customer_id: str, name: str, actor: Actor) -> Customer:
        """Add a customer that is not there, on record.

        Raises:
            ValueError: the id or the name is not accepted.
            AlreadyExists: the id is taken.
        """
        row = self._database.row("create_customer.sql", _named(customer_id, name, actor))
        if row is None:
            raise AlreadyExists(f"customer: {customer_id!r} exists")
        return Customer(**row)

    def rename(self, customer_id: str, name: str, actor: Actor) -> Customer:
        """Give a customer another name, on record. Its id stays.

        Raises:
            ValueError: the name is not accepted.
            RecordNotFound: there is none of that id.
        """
        check_name("name", name)
        values = {"customer_id": customer_id, "name": name, **by(actor)}
        row = self._database.row("rename_customer.sql", values)
        if row is None:
            raise RecordNotFound(f"customer: {customer_id!r} does not exist")
        return Customer(**row)

    def find(self, *, first: int | None = None, after: str | None = None) -> list[Customer]:
        """At most `first` customers (None: all), by id, above the id `after`."""
        return [Customer(**row) for row in self._database.rows("customers.sql", {"first": first, "after": after})]

    def get(self, customer_id: str) -> Customer:
        """One customer.

        Raises:
            RecordNotFound: there is none of that id.
        """
        row = self._database.row("customer.sql", {"customer_id": customer_id})
        if row is None:
            raise RecordNotFound(f"customer: {customer_id!r} does not exist")
        return Customer(**row)


class AccountRepository(Repository):
    """What each customer has connected."""

    def add(self, account: Account) -> Account:
        """Store a new account; adding the same again changes nothing, but makes a disabled one active.

        Raises:
            ValueError: the id is not ``<customer>.<name>``, or there are secrets, which only `Credentials` stores.
            RecordNotFound: the customer does not exist.
            AlreadyExists: the id is taken by an account of other content.
        """
        _check(account)
        values = {**_values(account), "settings": Jsonb(account.settings)}
        try:
            row = self._database.row("add_account.sql", values)
        except ForeignKeyViolation:
            raise RecordNotFound(f"customer: {account.customer_id!r} does not exist") from None
        if row is None:
            raise AlreadyExists(
                f"account: {account.account_id!r} exists with other settings: change them by updateCredential of the GraphQL service, "
                "restore a deleted one by connecting it with those it had, or use another name for another bill"
            )
        return _pop_account(row)

    def find(
        self,
        *,
        customer_id: str | None = None,
        provider: str | None = None,
        account_id: str | None = None,
        include_disabled: bool = False,
    ) -> list[Account]:
        """Accounts by id, active ones unless `include_disabled`; each filter that is given must match."""
        filters = {"customer_id": customer_id, "provider": provider, "account_id": account_id}
        return [one.account for one in self._states(**filters, include_disabled=include_disabled)]

    def states(self, *, customer_id: str | None = None, provider: str | None = None) -> list[AccountState]:
        """Accounts with their last probes, disabled ones too, by id."""
        return self._states(customer_id=customer_id, provider=provider, account_id=None, include_disabled=True)

    def _states(self, **filters: Any) -> list[AccountState]:
        rows = self._database.rows("accounts.sql", filters)
        return [AccountState(account=_pop_account(row), **row) for row in rows]

    def get(self, account_id: str) -> Account:
        """One account, disabled or not.

        Raises:
            RecordNotFound: there is none of that id.
        """
        found = self.find(account_id=account_id, include_disabled=True)
        if not found:
            raise RecordNotFound(f"account: {account_id!r} does not exist")
        return found[0]

    def disable(self, account_id: str) -> None:
        """Collect nothing more for an account; its published data stay.

        Raises:
            RecordNotFound: there is none of that id.
        """
        if self._database.row("disable_account.sql", {"account_id": account_id}) is None:
            raise RecordNotFound(f"account: {account_id!r} does not exist")

    def connections(
        self, customer_id: str, *, first: int, after: str | None = None, include_deleted: bool = False
    ) -> list[ConnectedAccount]:
        """At most `first` accounts of a customer, by id, above the account id `after`."""
        values = {"customer_id": customer_id, "account_id": None, "first": first, "after": after}
        rows = self._database.rows("connections.sql", {**values, "include_deleted": include_deleted})
        return [_connection(row) for row in rows]

    def connection(self, customer_id: str, account_id: str) -> ConnectedAccount:
        """One account of a customer, collected or not.

        Raises:
            RecordNotFound: the customer has none of that id.
        """
        values = {"customer_id": customer_id, "account_id": account_id, "first": 1, "after": None}
        row = self._database.row("connections.sql", {**values, "include_deleted": True})
        if row is None:
            raise RecordNotFound(f"account: {account_id!r} does not exist")
        return _connection(row)

    def change_settings(self, account_id: str, settings: Row) -> list[str]:
        """Give an active account other settings; the names of those that differ.

        Raises:
            RecordNotFound: there is no active account of that id.
        """
        row = self._database.row("change_settings.sql", {"account_id": account_id, "settings": Jsonb(settings)})
        if row is None:
            raise RecordNotFound(f"account: {account_id!r} is not active")
        old: Row = row["settings"]
        return sorted(name for name in old.keys() | settings.keys() if old.get(name) != settings.get(name))


def _named(customer_id: str, name: str, actor: Actor | None) -> Row:
    check_slug("customer", customer_id)
    check_name("name", name)
    return {"customer_id": customer_id, "name": name, **by(actor or Actor.here("platform"))}


def _check(account: Account) -> None:
    check_slug("account", account.account_id)
    if not account.account_id.startswith(f"{account.customer_id}.") or account.account_id == f"{account.customer_id}.":
        raise ValueError(f"account: {account.account_id!r} is not accepted: use {account.customer_id}.<name>")
    if account.secrets:
        names = ", ".join(sorted(account.secrets))
        raise ValueError(
            f"account: {account.account_id!r}: secret fields ({names}) are not stored with it: put them into its credentials"
        )


def _values(account: Account) -> Row:
    return {
        "account_id": account.account_id,
        "customer_id": account.customer_id,
        "provider": account.provider,
        "is_simulated": account.is_simulated,
    }


def _pop_account(row: Row) -> Account:
    """The account that five columns of a row hold, which are taken out of it."""
    names = ("account_id", "customer_id", "provider", "settings", "is_simulated")
    return Account(**{name: row.pop(name) for name in names})


def _connection(row: Row) -> ConnectedAccount:
    return ConnectedAccount(account=_pop_account(row), is_active=row.pop("status") == "active", **row)
