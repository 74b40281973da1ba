"""Customers and their accounts: settings, metadata of the stored secret (never the secret), and the result of the last probe."""

from __future__ import annotations

from dataclasses import dataclass, fields
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
    """A tenant. `created_at` is UTC."""

    customer_id: str
    name: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class AccountState:
    """An account and its last probes. Times are UTC, None before the first.

    Attributes:
        account: the account, without secrets.
        status: ``active`` or ``disabled``.
        last_probe_at: when the last successful probe was made.
        last_change_at: when a probe last found a change.
        probe_tried_at: when the last probe was begun, answered or not.
        probe_not_before: the provider throttles probes until then.
        last_error: why the last probe failed, or else the newest failing billing period, in one line; None if nothing fails.
    """

    account: Account
    status: str
    created_at: datetime
    last_probe_at: datetime | None
    last_change_at: datetime | None
    probe_tried_at: datetime | None
    probe_not_before: datetime | None
    last_error: str | None


@dataclass(frozen=True, slots=True)
class ConnectedAccount:
    """An account, the metadata of its secret and its last probes. Times are UTC, None if it never happened.

    Attributes:
        is_active: whether it is collected.
        version: version of the stored secret, None if none is stored.
        key_id: the master key that wraps its data key.
        updated_at: when settings or secret were last stored, not counting the first settings.
        rotated_at: when the secret was last rotated (`CredentialRepository.rotate_secret`).
        deleted_at: since when it is not collected.
        last_error: why the last probe failed, or else the newest failing billing period, in one line; None if nothing fails.
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
    """Reads and writes customers."""

    def add(self, customer_id: str, name: str | None = None, actor: Actor | None = None) -> Customer:
        """Add a customer, or return the existing one, renamed if `name` is given. The access log records every change.

        Args:
            customer_id: lower-case letters, digits, '-', '_' and '.'.
            name: display name; a new customer's defaults to the id.
            actor: who does it, for the log; None: this process.

        Raises:
            ValueError: the id or the name is not accepted.
        """
        values = _named(customer_id, customer_id if name is None else name, actor)
        (row,) = self._database.rows("add_customer.sql", {**values, "name": name})
        return Customer(**row)

    def create(self, customer_id: str, name: str, actor: Actor) -> Customer:
        """Add a new customer; the access log records it.

        Raises:
            ValueError: the id or the name is not accepted.
            AlreadyExists: the id is taken.
        """
        row = self._database.row("create_customer.sql", _named(customer_id, name, actor))
        if row is None:
            raise AlreadyExists(f"customer: {customer_id!r} exists")
        return Customer(**row)

    def rename(self, customer_id: str, name: str, actor: Actor) -> Customer:
        """Rename a customer; the access log records it. Its id stays.

        Raises:
            ValueError: the name is not accepted.
            RecordNotFound: no customer has that id.
        """
        check_name("name", name)
        values = {"customer_id": customer_id, "name": name, **by(actor)}
        row = self._database.row("rename_customer.sql", values)
        if row is None:
            raise RecordNotFound(f"customer: {customer_id!r} does not exist")
        return Customer(**row)

    def find(self, *, first: int | None = None, after: str | None = None) -> list[Customer]:
        """Return at most `first` customers (None: all), ordered by id, with an id above `after`."""
        return [Customer(**row) for row in self._database.rows("customers.sql", {"first": first, "after": after})]

    def get(self, customer_id: str) -> Customer:
        """Return one customer.

        Raises:
            RecordNotFound: no customer has that id.
        """
        row = self._database.row("customer.sql", {"customer_id": customer_id})
        if row is None:
            raise RecordNotFound(f"customer: {customer_id!r} does not exist")
        return Customer(**row)


class AccountRepository(Repository):
    """Reads and writes the accounts that customers connected."""

    def add(self, account: Account) -> Account:
        """Store a new account. Adding the same account again only makes it active if it was disabled.

        Raises:
            ValueError: the id is not ``<customer>.<name>``, or `account` has secrets, which only `CredentialRepository` stores.
            RecordNotFound: the customer does not exist.
            AlreadyExists: an account with the same id and other content exists.
        """
        _check(account)
        values = {**_values(account), "settings": Jsonb(account.settings)}
        try:
            row = self._database.row("add_account.sql", values)
        except ForeignKeyViolation:
            raise RecordNotFound(f"customer: {account.customer_id!r} does not exist") from None
        if row is None:
            raise AlreadyExists(
                f"account: {account.account_id!r} exists with other settings: change them by `optiinfra accounts set`, "
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
        """Return accounts ordered by id, without disabled ones unless `include_disabled`; they match every given filter."""
        filters = {"customer_id": customer_id, "provider": provider, "account_id": account_id}
        return [one.account for one in self._states(**filters, include_disabled=include_disabled)]

    def states(self, *, customer_id: str | None = None, provider: str | None = None) -> list[AccountState]:
        """Return accounts with their last probes, also disabled ones, ordered by id."""
        return self._states(customer_id=customer_id, provider=provider, account_id=None, include_disabled=True)

    def _states(self, **filters: Any) -> list[AccountState]:
        rows = self._database.rows("accounts.sql", filters)
        return [AccountState(account=_pop_account(row), **row) for row in rows]

    def get(self, account_id: str) -> Account:
        """Return one account, disabled or not.

        Raises:
            RecordNotFound: no account has that id.
        """
        found = self.find(account_id=account_id, include_disabled=True)
        if not found:
            raise RecordNotFound(f"account: {account_id!r} does not exist")
        return found[0]

    def record_origin(self, account: Account) -> None:
        """Store who gave the settings and the secrets of an account."""
        self._database.rows("account_origin.sql", _origin(account) | {"account_id": account.account_id})

    def disable(self, account_id: str) -> None:
        """Stop collecting an account; its published data stay.

        Raises:
            RecordNotFound: no account has that id.
        """
        if self._database.row("disable_account.sql", {"account_id": account_id}) is None:
            raise RecordNotFound(f"account: {account_id!r} does not exist")

    def connections(
        self, customer_id: str, *, first: int, after: str | None = None, include_deleted: bool = False
    ) -> list[ConnectedAccount]:
        """Return at most `first` accounts of a customer, ordered by id, with an id above `after`."""
        values = {"customer_id": customer_id, "account_id": None, "first": first, "after": after}
        rows = self._database.rows("connections.sql", {**values, "include_deleted": include_deleted})
        return [_connection(row) for row in rows]

    def connection(self, customer_id: str, account_id: str) -> ConnectedAccount:
        """Return one account of a customer, active or not.

        Raises:
            RecordNotFound: the customer has no account with that id.
        """
        values = {"customer_id": customer_id, "account_id": account_id, "first": 1, "after": None}
        row = self._database.row("connections.sql", {**values, "include_deleted": True})
        if row is None:
            raise RecordNotFound(f"account: {account_id!r} does not exist")
        return _connection(row)

    def change_settings(self, account_id: str, settings: Row) -> list[str]:
        """Replace the settings of an active account; return the sorted names of those that changed.

        Raises:
            RecordNotFound: no active account has that id.
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
        **_origin(account),
    }


def _origin(account: Account) -> Row:
    return {
        "settings_by_operator": account.settings_by_operator,
        "secrets_by_operator": account.secrets_by_operator,
    }


def _pop_account(row: Row) -> Account:
    """Remove the columns of an account from `row` and return the account."""
    names = [field.name for field in fields(Account) if field.name != "secrets"]
    return Account(**{name: row.pop(name) for name in names})


def _connection(row: Row) -> ConnectedAccount:
    return ConnectedAccount(account=_pop_account(row), is_active=row.pop("status") == "active", **row)
