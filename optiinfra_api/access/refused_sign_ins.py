"""Writes refused sign-ins to the audit log, so few that a flood of them does not fill it.

The first of an address and a token within a minute has a line at once; those that follow are counted, and have one line together when the
minute ends. Beyond `MOST` addresses and tokens in a minute, all others have one line together. The count of a minute in which the process
ends is lost; its first lines, and the process's own log, are not.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, Final

from optiinfra_api.access.login_throttle import client_network
from optiinfra_assets.database.errors import MetadataUnavailable
from optiinfra_assets.metadata.access_audit import AccessAuditRepository, SignInBy
from optiinfra_assets.metadata.tokens import Principal

LOG = logging.getLogger("optiinfra_api.sign_in")
WINDOW_SECONDS: Final = 60.0
MOST: Final = 60
SEVERAL: Final = "several addresses"


@dataclass(slots=True)
class _Refused:
    """What one address tried with one token in the present minute; `more` are the tries after the first."""

    principal: Principal | None
    address: str
    more: int = 0


class RefusedSignIns:
    """Counts and records the refused sign-ins of one process. Belongs to one event loop."""

    def __init__(
        self,
        audit: AccessAuditRepository,
        run: Callable[..., Awaitable[Any]],
        pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """
        Args:
            audit: the log.
            run: calls a blocking function in a thread.
            pause: waits for seconds, until a minute ends.
        """
        self._audit = audit
        self._run = run
        self._pause = pause
        self._refused: dict[tuple[str, str | None], _Refused] = {}
        self._others = 0
        self._minute: asyncio.Task[None] | None = None

    async def add(self, how: SignInBy, secret: str, address: str) -> None:
        """Record that `secret`, of which nothing is kept, was refused to a client at `address`.

        Raises:
            MetadataUnavailable: PostgreSQL does not answer.
        """
        await self._add(how, await self._run(self._audit.presented, how, secret), address)

    async def add_unread(self, how: SignInBy, address: str) -> None:
        """Record a try that was refused because too many had failed: PostgreSQL is not asked whose it was.

        Raises:
            MetadataUnavailable: PostgreSQL does not answer.
        """
        await self._add(how, None, address)

    async def _add(self, how: SignInBy, principal: Principal | None, address: str) -> None:
        if self._minute is None:
            self._minute = asyncio.create_task(self._until_it_ends())
        key = (client_network(address), principal.token_id if principal else None)
        known = self._refused.get(key)
        if known is not None:
            known.more += 1
        elif len(self._refused) >= MOST:
            self._others += 1
        else:
            self._refused[key] = _Refused(principal, address)
            await self._run(self._audit.refuse_sign_in, principal, address, f"by {how}")

    async def _until_it_ends(self) -> None:
        await self._pause(WINDOW_SECONDS)
        refused, others = self._refused, self._others
        self._refused, self._others, self._minute = {}, 0, None
        counts = [(one.principal, one.address, one.more) for one in refused.values()]
        try:
            for principal, address, more in [*counts, (None, SEVERAL, others)]:
                if more:
                    await self._run(self._audit.refuse_sign_in, principal, address, f"{more} more within a minute")
        except MetadataUnavailable:
            LOG.warning("refused sign-ins of the last minute are not on record: PostgreSQL does not answer")
