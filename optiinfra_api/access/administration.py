"""Customers, tokens and the log of both, as far as one request may see and change them. Made by `RequestContext.administration_of` only.

Reads of one customer are bound to it by PostgreSQL itself; see `Database.of_customer`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import ParamSpec, TypeVar

from optiinfra_api.access.services import Services
from optiinfra_assets.metadata.access_audit import AccessEntry
from optiinfra_assets.metadata.accounts import Customer
from optiinfra_assets.metadata.tokens import IssuedToken, Role, Token
from optiinfra_assets.vault.credential_audit import Actor

_P = ParamSpec("_P")
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Administration:
    """What may be seen and done by who asks.

    Attributes:
        customer_id: only what belongs to this customer; None: to any, for administrators of all customers.
        actor: who is put on record.
    """

    customer_id: str | None
    actor: Actor
    _services: Services

    async def customers(self, first: int, after: str | None) -> list[Customer]:
        """See `Metadata.customers.find`."""
        return await self._read(self._services.metadata.customers.find, first=first, after=after)

    async def tokens(self, first: int, after: tuple[datetime, str] | None) -> list[Token]:
        """See `Metadata.tokens.find`."""
        return await self._read(self._services.metadata.tokens.find, first=first, after=after)

    async def log(self, first: int, before: int | None) -> list[AccessEntry]:
        """See `Metadata.access_audit.find`."""
        return await self._read(self._services.metadata.access_audit.find, first=first, before=before)

    async def create_customer(self, customer_id: str, name: str) -> Customer:
        """See `Metadata.customers.create`."""
        return await self._services.run(
            self._services.metadata.customers.create, customer_id, name, self.actor
        )

    async def rename_customer(self, customer_id: str, name: str) -> Customer:
        """See `Metadata.customers.rename`."""
        return await self._services.run(
            self._services.metadata.customers.rename, customer_id, name, self.actor
        )

    async def issue_token(self, name: str, role: Role, expires_at: datetime | None) -> IssuedToken:
        """A token of this customer, or for all customers if it is None; see `Metadata.tokens.issue`."""
        return await self._services.run(
            self._services.metadata.tokens.issue, name, self.customer_id, role, expires_at, self.actor
        )

    async def revoke_token(self, token_id: str) -> Token:
        """See `Metadata.tokens.revoke`. This process refuses it at once, others within seconds."""
        revoked = await self._services.run(
            self._services.metadata.tokens.revoke, token_id, customer_id=self.customer_id, actor=self.actor
        )
        self._services.authenticator.forget(token_id)
        return revoked

    async def _read(self, read: Callable[_P, list[_T]], *args: _P.args, **kwargs: _P.kwargs) -> list[_T]:
        if self.customer_id is None:
            return await self._services.run(read, *args, **kwargs)
        return await self._services.run_for(self.customer_id, read, *args, **kwargs)
