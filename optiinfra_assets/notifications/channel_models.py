"""What each kind of channel needs: its fields, which of them are secret, and what is accepted."""

from __future__ import annotations

import base64
import binascii
import re
import secrets
from collections.abc import Mapping
from typing import Annotated, Any, Final, Literal, get_args
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr

from optiinfra_assets.domain.alerts import ChannelKind
from optiinfra_assets.providers.http.endpoint_policy import is_loopback

KEY_PREFIX: Final = "whsec_"
_MAILBOX: Final = re.compile(r"[^@\s<>,;:\"()\[\]\\]{1,64}@[A-Za-z0-9.-]{1,255}")
_HOST: Final = re.compile(r"[A-Za-z0-9:][A-Za-z0-9.:-]{0,253}")
MOST_RECIPIENTS: Final = 50


def _check_address(value: SecretStr) -> SecretStr:
    """An address that may hold a secret in its path and query, as those of Slack and Microsoft Teams do."""
    accepted = "an https address without user and fragment is accepted, or plain http to 127.0.0.1 or localhost"
    text = value.get_secret_value()
    try:
        parts = urlsplit(text)
        is_accepted = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
        port = parts.port
    except ValueError:
        raise ValueError(accepted) from None
    is_plain = text.isascii() and text.isprintable() and " " not in text and len(text) <= 2000
    if not (is_accepted and parts.hostname and port != 0 and is_plain) or parts.username or parts.fragment:
        raise ValueError(accepted)
    return value


def _check_key(value: SecretStr | None) -> SecretStr | None:
    if value is not None:
        key_bytes(value.get_secret_value())
    return value


def key_bytes(text: str) -> bytes:
    """Return the bytes of a signing key.

    Raises:
        ValueError: it is none.
    """
    try:
        key = base64.b64decode(text.removeprefix(KEY_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not 24 <= len(key) <= 64:
        raise ValueError(f"use {KEY_PREFIX} and base64 of 24 to 64 random bytes, or leave it out and one is made")
    return key


def new_key() -> str:
    """Return a new signing key, as https://www.standardwebhooks.com writes them."""
    return KEY_PREFIX + base64.b64encode(secrets.token_bytes(32)).decode()


def _check_mailbox(value: str) -> str:
    if not _MAILBOX.fullmatch(value):
        raise ValueError(f"{value[:100]!r} is not accepted: use an address such as costs@example.com")
    return value


def _check_host(value: str) -> str:
    if not _HOST.fullmatch(value):
        raise ValueError(f"{value[:100]!r} is not accepted: use the name of a host, such as smtp.example.com")
    return value


Address = Annotated[SecretStr, AfterValidator(_check_address)]
Mailbox = Annotated[str, AfterValidator(_check_mailbox)]


class _ChannelModel(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class AddressedChannel(_ChannelModel):
    """A channel that takes messages at an address which is a secret itself."""

    url: Address = Field(description="The address that takes the messages.")


class WebhookChannel(AddressedChannel):
    """A program of yours. Each message is signed (HMAC-SHA256)."""

    signing_key: Annotated[SecretStr | None, AfterValidator(_check_key)] = Field(
        None, description="Key of the signature: whsec_ and base64 of 24 to 64 random bytes. Left out: one is made."
    )


class SlackChannel(AddressedChannel):
    """A channel of Slack, by the address of an incoming webhook."""


class TeamsChannel(AddressedChannel):
    """A channel or chat of Microsoft Teams, by the address of a workflow that posts what it receives."""


class EmailChannel(_ChannelModel):
    """E-mail through an SMTP server."""

    host: Annotated[str, AfterValidator(_check_host)] = Field(description="The SMTP server.")
    port: int = Field(587, ge=1, le=65_535, description="Its port.")
    security: Literal["starttls", "tls", "none"] = Field(
        "starttls",
        description="Encryption: starttls, tls from the first byte, or none, which is accepted to this machine only.",
    )
    username: str | None = Field(None, max_length=300, description="User at the server, if it asks for one.")
    password: SecretStr | None = Field(None, description="Password of that user.")
    sender: Mailbox = Field(description="Address that the messages come from.")
    recipients: list[Mailbox] = Field(
        min_length=1, max_length=MOST_RECIPIENTS, description="Addresses that the messages go to."
    )


ChannelModel = AddressedChannel | EmailChannel
MODELS: Final[Mapping[ChannelKind, type[ChannelModel]]] = {
    "webhook": WebhookChannel,
    "slack": SlackChannel,
    "teams": TeamsChannel,
    "email": EmailChannel,
}


def secret_fields(kind: ChannelKind) -> frozenset[str]:
    """Return the names of the secret fields of a kind of channels."""
    fields = MODELS[kind].model_fields.items()
    return frozenset(name for name, one in fields if SecretStr in _types(one.annotation))


def _types(annotation: Any) -> tuple[Any, ...]:
    return (annotation, *get_args(annotation))


def server_of(model: ChannelModel) -> tuple[str, str, int]:
    """Return scheme, host and port of the server that takes the messages."""
    if isinstance(model, EmailChannel):
        return "smtp", model.host, model.port
    parts = urlsplit(model.url.get_secret_value())
    return parts.scheme, parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)


def shown_settings(model: ChannelModel) -> dict[str, Any]:
    """Return what of a channel is no secret; of an address only where it leads."""
    if isinstance(model, EmailChannel):
        return model.model_dump(exclude={"password"})
    scheme, host, port = server_of(model)
    usual = 443 if scheme == "https" else 80
    return {"server": f"{scheme}://{host}{'' if port == usual else f':{port}'}"}


def secret_values(model: ChannelModel) -> dict[str, str]:
    """Return the secret fields of a channel that have a value."""
    given = {name: getattr(model, name) for name in type(model).model_fields}
    return {name: value.get_secret_value() for name, value in given.items() if isinstance(value, SecretStr)}
