"""Customers, tokens and the log of both, as far as one request may see and change them. Made by `Context.administration_of` only.

Reads of one customer are bound to it by PostgreSQL itself; see `Database.of_customer`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Concatenate, ParamSpec, TypeVar

from optiinfra_api.services import Services
from optiinfra_assets.store.access_audit import AccessEntry
from optiinfra_assets.store.accounts import Customer
from optiinfra_assets.store.credential_audit import Actor
from optiinfra_assets.store.metadata import Metadata
from optiinfra_assets.store.tokens import Issued, Role, Token

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
        """See `Metadata.customers`."""
        return await self._read(Metadata.customers, first=first, after=after)

    async def tokens(self, first: int, after: tuple[datetime, str] | None) -> list[Token]:
        """See `Metadata.tokens`."""
        return await self._read(Metadata.tokens, first=first, after=after)

    async def log(self, first: int, before: int | None) -> list[AccessEntry]:
        """See `Metadata.access_audit`."""
        return await self._read(Metadata.access_audit, first=first, before=before)

    async def create_customer(self, customer_id: str, name: str) -> Customer:
        """See `Metadata.create_customer`."""
        return await self._services.run(
            self._services.metadata.create_customer, customer_id, name, self.actor
        )

    async def rename_customer(self, customer_id: str, name: str) -> Customer:
        """See `Metadata.rename_customer`."""
        return await self._services.run(
            self._services.metadata.rename_customer, customer_id, name, self.actor
        )

    async def issue_token(self, name: str, role: Role, expires_at: datetime | None) -> Issued:
        """A token of this customer, or for all customers if it is None; see `Metadata.issue_token`."""
        return await self._services.run(
            self._services.metadata.issue_token, name, self.customer_id, role, expires_at, self.actor
        )

    async def revoke_token(self, token_id: str) -> Token:
        """See `Metadata.revoke_token`. This process refuses it at once, others within seconds."""
        revoked = await self._services.run(
            self._services.metadata.revoke_token, token_id, customer_id=self.customer_id, actor=self.actor
        )
        self._services.authenticator.forget(token_id)
        return revoked

    async def _read(
        self, read: Callable[Concatenate[Metadata, _P], list[_T]], *args: _P.args, **kwargs: _P.kwargs
    ) -> list[_T]:
        metadata = self._services.metadata
        if self.customer_id is None:
            return await self._services.run(read, metadata, *args, **kwargs)
        return await self._services.run_for(self.customer_id, read, metadata, *args, **kwargs)
