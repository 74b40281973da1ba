"""Customers, tokens and the log of both, as far as one request may see and change them. Made by `RequestContext.administration_of` only.

Reads of one customer are bound to it by PostgreSQL itself; see `Database.of_customer`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from optiinfra_api.access.services import Services
from optiinfra_assets.metadata.tokens import Token
from optiinfra_assets.vault.credential_audit import Actor

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
    services: Services

    async def read(self, work: Callable[..., _T], **filters: Any) -> _T:
        """What `work` of `Metadata` finds; of one customer, PostgreSQL shows it no other rows."""
        if self.customer_id is None:
            return await self.services.run(work, **filters)
        return await self.services.run_for(self.customer_id, work, **filters)

    async def act(self, work: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
        """What `work` of `Metadata` does, with the actor put on record."""
        return await self.services.run(work, *args, **kwargs, actor=self.actor)

    async def revoke_token(self, token_id: str) -> Token:
        """See `Metadata.tokens.revoke`. This process refuses it at once, others within seconds."""
        revoke = self.services.metadata.tokens.revoke
        revoked = await self.act(revoke, token_id, customer_id=self.customer_id)
        self.services.authenticator.forget(token_id)
        return revoked
