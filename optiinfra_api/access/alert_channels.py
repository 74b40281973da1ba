"""What one administrator may do with the channels of one customer: add, test and remove them.

Only this module and `credential_service` lead to packages that reach the network: a channel is tested by sending by it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from optiinfra_api.access.context import RequestContext
from optiinfra_api.access.services import Services
from optiinfra_api.graphql.errors import LOG
from optiinfra_assets.domain.alerts import AlertChannel
from optiinfra_assets.notifications.channels import AddedChannel, add_channel, try_channel
from optiinfra_assets.notifications.errors import NotReceived
from optiinfra_assets.vault.credential_audit import Actor

PATIENCE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True)
class AlertChannelService:
    """What one actor may do. Only the function `alert_channel_service` makes it.

    Attributes:
        is_operator: the actor runs the platform, so its addresses may be private.
    """

    customer_id: str
    actor: Actor
    is_operator: bool
    _services: Services

    async def add(self, kind: str, name: str, values: Mapping[str, Any]) -> AddedChannel:
        """Add a channel; see `optiinfra_assets.notifications.channels.add_channel` for its errors."""
        secrets = self._services.metadata.channel_secrets
        before = secrets.made_key_file
        add = partial(
            add_channel,
            self._services.metadata,
            kind,
            name,
            values,
            is_operator=self.is_operator,
            customer_id=self.customer_id,
            actor=self.actor,
        )
        added = await self._services.asking.run(self.customer_id, add)
        if (made := secrets.made_key_file) != before:
            LOG.warning("made master key %s: back it up; without it no stored secret can be opened", made)
        return added

    async def test(self, channel_id: str) -> tuple[AlertChannel, str | None]:
        """Send a message by a channel that says it is a test; return what was wrong though it was received.

        Raises:
            RecordNotFound: this customer has no such channel.
            NotReceived: the message was not received.
            VaultError: its secrets cannot be opened.
        """
        metadata = self._services.metadata
        channel = await self._services.run_for(
            self.customer_id, metadata.alerts.channel, channel_id, customer_id=self.customer_id
        )
        pages = self._services.settings.api_url
        work = partial(try_channel, metadata, channel, pages, lambda: datetime.now(UTC), self.actor)
        try:
            return channel, await asyncio.wait_for(self._services.asking.run(self.customer_id, work), PATIENCE_SECONDS)
        except TimeoutError:
            raise NotReceived(f"no answer within {PATIENCE_SECONDS} s") from None

    async def remove(self, channel_id: str) -> AlertChannel:
        """Remove a channel.

        Raises:
            RecordNotFound: this customer has no such channel.
        """
        remove = self._services.metadata.alerts.remove_channel
        return await self._services.run(remove, channel_id, customer_id=self.customer_id, actor=self.actor)


async def alert_channel_service(context: RequestContext, customer_id: str | None) -> AlertChannelService:
    """Return the service for the channels of a customer that `RequestContext.data_of` accepts; for administrators.

    Raises:
        Forbidden, NotFound, InvalidArgument: as in `RequestContext.require` and `RequestContext.data_of`.
    """
    context.require("admin")
    data = await context.data_of(customer_id)
    actor = Actor(context.principal.token_id, context.address)
    return AlertChannelService(data.customer_id, actor, context.principal.customer_id is None, context.services)
