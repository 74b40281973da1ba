"""addAlertChannel, testAlertChannel, removeAlertChannel: the channels by which people and programs are told."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import strawberry

from optiinfra_api.access.alert_channels import alert_channel_service
from optiinfra_api.access.context import Info
from optiinfra_api.fields.alerts.alert_types import AlertChannel, AlertNotAccepted, AlertNotFound, AlertNotReceived
from optiinfra_api.fields.alerts.rules import not_found, refusal
from optiinfra_api.fields.arguments import CustomerId
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_assets.database.errors import AlreadyExists, RecordNotFound
from optiinfra_assets.notifications.errors import NotReceived
from optiinfra_assets.vault.master_keys import VaultError


@strawberry.enum(description="Encryption of the connection to a mail server.")
class MailSecurity(Enum):
    STARTTLS = described("starttls", "It begins by STARTTLS, before anything else is said.")
    TLS = described("tls", "From the first byte.")
    NONE = described("none", "None; accepted to this machine only.")


@strawberry.input(description="A program of yours that takes signed JSON.")
class WebhookInput:
    url: str = strawberry.field(description="Its https address. It is kept as a secret.")
    signing_key: str | None = strawberry.field(
        default=None,
        description="Key of the signature: `whsec_` and base64 of 24 to 64 random bytes. Default: one is made and shown.",
    )


@strawberry.input(description="A channel of Slack or Microsoft Teams.")
class ChatInput:
    url: str = strawberry.field(
        description="The https address of its incoming webhook or workflow. It is kept as a secret."
    )


@strawberry.input(description="E-mail.")
class EmailInput:
    host: str = strawberry.field(description="The SMTP server.")
    sender: str = strawberry.field(description="Address that the messages come from.")
    recipients: list[str] = strawberry.field(description="Addresses that they go to, 1 to 50.")
    port: int = strawberry.field(default=587, description="Port of the server.")
    security: MailSecurity = strawberry.field(default=MailSecurity.STARTTLS, description="Encryption.")
    username: str | None = strawberry.field(default=None, description="User at the server.")
    password: str | None = strawberry.field(default=None, description="Password of that user. It is kept as a secret.")


@strawberry.input(one_of=True, description="A channel: exactly one of these.")
class AlertChannelInput:
    webhook: strawberry.Maybe[WebhookInput] = strawberry.field(description="A program of yours.")
    slack: strawberry.Maybe[ChatInput] = strawberry.field(description="Slack.")
    teams: strawberry.Maybe[ChatInput] = strawberry.field(description="Microsoft Teams.")
    email: strawberry.Maybe[EmailInput] = strawberry.field(description="E-mail.")

    def given(self) -> tuple[str, dict[str, Any]]:
        """The kind of the channel, and its fields."""
        (kind,) = (name for name in ("webhook", "slack", "teams", "email") if getattr(self, name) is not None)
        fields = vars(getattr(self, kind).value)
        return kind, {name: one.value if isinstance(one, Enum) else one for name, one in fields.items()}


@strawberry.type(description="The channel is stored.")
class AlertChannelAdded:
    channel: AlertChannel = strawberry.field(description="What is known of it from now on.")
    signing_key: str | None = strawberry.field(
        description="The key that was made for its signatures. Shown here and never again. Null: none was made."
    )


@strawberry.type(description="The channel took a message that says it is a test.")
class AlertChannelTested:
    channel: AlertChannel = strawberry.field(description="The channel.")
    note: str | None = strawberry.field(description="What was wrong all the same. Null: nothing.")


@strawberry.type(description="Nothing is sent by the channel any more; its secrets are erased.")
class AlertChannelRemoved:
    channel: AlertChannel = strawberry.field(description="As it was.")


AddResult = Annotated[
    AlertChannelAdded | AlertNotFound | AlertNotAccepted,
    strawberry.union("AddAlertChannelResult", description="The channel, or why there is none."),
]
TestResult = Annotated[
    AlertChannelTested | AlertNotReceived | AlertNotFound,
    strawberry.union("TestAlertChannelResult", description="That it was received, or why not."),
]
RemoveResult = Annotated[
    AlertChannelRemoved | AlertNotFound,
    strawberry.union("RemoveAlertChannelResult", description="What the channel was, or that there is none."),
]
Name = Annotated[str, strawberry.argument(description="What it is called, at most 100 characters.")]
Channel = Annotated[AlertChannelInput, strawberry.argument(description="The channel.")]
ChannelId = Annotated[str, strawberry.argument(description="As `alertChannels` shows it.")]


@strawberry.type
class AlertChannelsMutation:
    @resolved("Add a channel by which this customer is told; for administrators.")
    async def add_alert_channel(
        self, info: Info, name: Name, channel: Channel, customer_id: CustomerId = None
    ) -> AddResult | None:
        service = await alert_channel_service(info.context, customer_id)
        try:
            added = await service.add(*_named(name, channel))
        except (ValueError, AlreadyExists, RecordNotFound, VaultError) as error:
            return refusal(error)
        return AlertChannelAdded(channel=AlertChannel.of(added.channel), signing_key=added.signing_key)

    @resolved("Send a message by a channel that says it is a test; for administrators.")
    async def test_alert_channel(
        self, info: Info, channel_id: ChannelId, customer_id: CustomerId = None
    ) -> TestResult | None:
        service = await alert_channel_service(info.context, customer_id)
        try:
            channel, note = await service.test(channel_id)
        except RecordNotFound as error:
            return not_found(error)
        except (NotReceived, VaultError) as error:
            remedy = "Check the channel; if it has another address now, remove it and add it again."
            return AlertNotReceived(code="ALERT_NOT_RECEIVED", message=str(error), remedy=remedy)
        return AlertChannelTested(channel=AlertChannel.of(channel), note=note)

    @resolved("Remove a channel and erase its secrets; for administrators.")
    async def remove_alert_channel(
        self, info: Info, channel_id: ChannelId, customer_id: CustomerId = None
    ) -> RemoveResult | None:
        service = await alert_channel_service(info.context, customer_id)
        try:
            return AlertChannelRemoved(channel=AlertChannel.of(await service.remove(channel_id)))
        except RecordNotFound as error:
            return not_found(error)


def _named(name: str, channel: AlertChannelInput) -> tuple[str, str, dict[str, Any]]:
    kind, values = channel.given()
    return kind, name, values
