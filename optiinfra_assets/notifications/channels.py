"""Adds channels, tests them, and sends messages by them.

An address that somebody gives over the API leads to the public internet or nowhere; only the operator of the platform may give others.
That is checked when a channel is added, and again by every connection (`optiinfra_assets.providers.network_policy`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from pydantic import SecretStr, ValidationError

from optiinfra_assets.domain.alerts import CHANNEL_KINDS, AlertChannel, AlertMessage, ChannelKind
from optiinfra_assets.notifications import http_channel, smtp_channel
from optiinfra_assets.notifications.channel_models import (
    MODELS,
    ChannelModel,
    EmailChannel,
    WebhookChannel,
    key_bytes,
    new_key,
    secret_values,
    server_of,
    shown_settings,
)
from optiinfra_assets.notifications.errors import ChannelNotAccepted
from optiinfra_assets.notifications.message_texts import mail, slack_body, teams_body, webhook_body
from optiinfra_assets.providers.context import Clock, Deadline, MemorySnapshots, ProviderContext
from optiinfra_assets.providers.http.endpoint_policy import is_loopback, is_public_host
from optiinfra_assets.providers.network_policy import EVERYWHERE, NetworkPolicy
from optiinfra_assets.vault.credential_audit import Actor, Purpose

if TYPE_CHECKING:
    from optiinfra_assets.metadata import Metadata

SECONDS: Final = 15.0
"""Of one attempt, all steps together."""
ACTOR: Final = "alerts"


@dataclass(frozen=True, slots=True)
class AddedChannel:
    """A channel that was added. `signing_key`: the key that was made for it, shown now and never again; None: none was made."""

    channel: AlertChannel
    signing_key: str | None = field(repr=False)


def add_channel(
    metadata: Metadata,
    kind: str,
    name: str,
    values: Mapping[str, Any],
    *,
    is_operator: bool,
    customer_id: str,
    actor: Actor,
) -> AddedChannel:
    """Check and store a channel, its secrets encrypted.

    Args:
        metadata: where it is stored.
        kind: one of `CHANNEL_KINDS`.
        name: what people call it.
        values: fields of its model; None is as if the field were left out.
        is_operator: the operator of the platform gave them, so its server may have a private address.
        customer_id: whose.
        actor: who does it, for the logs.

    Raises:
        ChannelNotAccepted: a value is not accepted; the message names it, and no secret.
        ValueError, AlreadyExists, RecordNotFound: as `AlertRepository.add_channel`.
        VaultError: there is no usable master key; nothing is stored.
    """
    model = parse(kind, values)
    _check_server(model, is_operator=is_operator)
    made = None
    if isinstance(model, WebhookChannel) and model.signing_key is None:
        made = new_key()
        model = model.model_copy(update={"signing_key": SecretStr(made)})
    with metadata.transaction():
        channel = metadata.alerts.add_channel(
            checked_kind(kind),
            name,
            shown_settings(model),
            by_operator=is_operator,
            customer_id=customer_id,
            actor=actor,
        )
        metadata.channel_secrets.put(channel.channel_id, customer_id, secret_values(model), actor)
    return AddedChannel(channel, made)


def checked_kind(kind: str) -> ChannelKind:
    """Return a kind of channels.

    Raises:
        ChannelNotAccepted: there is none of that name.
    """
    for known in CHANNEL_KINDS:
        if kind == known:
            return known
    raise ChannelNotAccepted(f"{kind[:100]!r} is not known: use {', '.join(CHANNEL_KINDS)}", "kind")


def parse(kind: str, values: Mapping[str, Any]) -> ChannelModel:
    """Build the model of a channel.

    Raises:
        ChannelNotAccepted: a value is not accepted.
    """
    given = {name: value for name, value in values.items() if value is not None}
    try:
        return MODELS[checked_kind(kind)].model_validate(given)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        said = " ".join(first["msg"].removeprefix("Value error, ").split())
        raise ChannelNotAccepted(said, str(first["loc"][0]) if first["loc"] else "") from None


def _check_server(model: ChannelModel, *, is_operator: bool) -> None:
    scheme, host, port = server_of(model)
    place = "host" if isinstance(model, EmailChannel) else "url"
    is_plain = isinstance(model, EmailChannel) and model.security == "none"
    if is_plain and not is_loopback(host):
        raise ChannelNotAccepted("none is accepted to 127.0.0.1 or localhost only: use starttls or tls", "security")
    if is_operator:
        return
    if scheme == "http" or is_plain or not is_public_host(host, port):
        raise ChannelNotAccepted(
            "is not accepted over the API: use a host of the public internet, with encryption; whoever runs the platform may add "
            "others by `optiinfra alerts add-channel`",
            place,
        )


def try_channel(metadata: Metadata, channel: AlertChannel, pages: str, clock: Clock, actor: Actor) -> str | None:
    """Send a message that says it is a test; return what was wrong though it was received, None for nothing.

    Raises:
        NotReceived: it was not received.
        StoreError: the secrets of the channel cannot be read.
    """
    message = AlertMessage(
        title=f"Test of the channel {channel.name}",
        text="If you read this, alerts reach you here. Nothing has happened.",
        path="/alerts",
    )
    at = clock()
    content = {
        "customer": channel.customer_id,
        "rule": {"id": "", "name": "test", "kind": "test"},
        "occasions": [{**message.values(), "key": "test", "found_at": at.isoformat()}],
    }
    delivery_id = f"test-{channel.channel_id}-{int(at.timestamp() * 1000)}"
    return deliver(metadata, channel, delivery_id, content, pages, clock, actor, purpose="test")


def deliver(
    metadata: Metadata,
    channel: AlertChannel,
    delivery_id: str,
    content: Mapping[str, Any],
    pages: str,
    clock: Clock,
    actor: Actor,
    *,
    purpose: Purpose = "notify",
) -> str | None:
    """Send a message once by a channel; return what was wrong though it was received, None for nothing.

    Args:
        metadata: holds the secrets of the channel.
        channel: by which it is sent.
        delivery_id: the same whenever the same message is sent.
        content: as `AlertOutboxRepository.claim` returns it.
        pages: address of our pages, for links.
        clock: gives the present UTC instant, which a signature holds.
        actor: who opens the secrets, for the log.
        purpose: why.

    Raises:
        NotReceived: it was not received, or nobody knows whether it was.
        StoreError: the secrets of the channel cannot be read.
    """
    secrets = metadata.channel_secrets.reveal(channel.channel_id, actor, purpose)
    context = _context(channel, clock)
    if channel.kind == "email":
        model = EmailChannel.model_validate({**channel.settings, **secrets})
        made = mail(delivery_id, content, pages, model.sender, model.recipients)
        return smtp_channel.send(model, made, context)
    headers = {"x-optiinfra-delivery": delivery_id}
    if channel.kind == "webhook":
        body = webhook_body(delivery_id, content, pages)
        headers |= http_channel.signed_headers(delivery_id, body, key_bytes(secrets["signing_key"]), clock())
    else:
        body = (slack_body if channel.kind == "slack" else teams_body)(content, pages)
    http_channel.post(secrets["url"], body, headers, context)
    return None


def _context(channel: AlertChannel, clock: Clock) -> ProviderContext:
    network = EVERYWHERE if channel.by_operator else NetworkPolicy(is_quoted=False)
    return ProviderContext(clock, MemorySnapshots(), network=network, deadline=Deadline.after(SECONDS))
