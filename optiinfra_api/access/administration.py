"""Customers, tokens and their audit log, as far as one request may see and change them. Only `RequestContext.administration_of` makes it.

PostgreSQL itself limits reads of one customer to that customer; see `Database.of_customer`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from optiinfra_api.access.services import Services
from optiinfra_api.reading.scan_budget import AnswerBudget
from optiinfra_assets.metadata.tokens import Token
from optiinfra_assets.vault.credential_audit import Actor

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Administration:
    """What the caller may see and do.

    Attributes:
        customer_id: the customer that everything must belong to; None: any, for administrators of all customers.
        actor: who is named in the audit log.
    """

    customer_id: str | None
    actor: Actor
    services: Services
    _answers: AnswerBudget

    async def read(self, work: Callable[..., _T], **filters: Any) -> _T:
        """Return what `work`, a function of `Metadata`, finds; for one customer, PostgreSQL shows it no other rows."""
        if self.customer_id is None:
            found = await self.services.run(work, **filters)
        else:
            found = await self.services.run_for(self.customer_id, work, **filters)
        self._answers.count_found(found)
        return found

    async def act(self, work: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
        """Run `work`, a function of `Metadata`, which records the actor in the audit log."""
        return await self.services.run(work, *args, **kwargs, actor=self.actor)

    async def revoke_token(self, token_id: str) -> Token:
        """Revoke a token; see `TokenRepository.revoke`. This process refuses the token at once, other processes within seconds."""
        revoke = self.services.metadata.tokens.revoke
        revoked = await self.act(revoke, token_id, customer_id=self.customer_id)
        self.services.authenticator.forget(token_id)
        return revoked
