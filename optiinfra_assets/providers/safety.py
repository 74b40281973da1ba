"""Where credentials may be sent, and where they may not show: addresses, the Authorization header, messages."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Iterable
from enum import Enum, auto
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator

from optiinfra_assets.providers.base import CredentialRejected


def check_endpoint(url: str) -> str:
    """`url` without a trailing slash, if credentials may be sent there: https, or plain http to this machine.

    Raises:
        ValueError: saying what is accepted.
    """
    parts = urlsplit(url)
    accepted = parts.scheme == "https" or (parts.scheme == "http" and is_loopback(parts.hostname or ""))
    if not accepted or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise ValueError(
            "an https address without user, query or fragment is accepted, or plain http to 127.0.0.1 or localhost"
        )
    return url.rstrip("/")


Endpoint = Annotated[str, AfterValidator(check_endpoint)]
"""Type of the field `endpoint_url` of a credential model."""


class OfThisMachine(Enum):
    """Marks fields of a credential model, in ``Annotated``, whose values mean something of the machine that reads them.

    Whoever may only speak to the API must not use what is the machine's own; see `optiinfra_assets.providers.reach`.
    """

    FOLDER = auto()
    """A folder or file, unless the value has a scheme such as ``s3://``."""
    SETTING = auto()
    """A name of something that is set up there, such as a profile with its own rights."""


def bearer(field_name: str, token: str) -> dict[str, str]:
    """The Authorization header for a token.

    Raises:
        CredentialRejected: the token cannot be sent. The HTTP library would say so too, with the token in its message.
    """
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise CredentialRejected(
            f"{field_name}: not a token: letters, digits and signs without spaces or line ends are accepted"
        )
    return {"Authorization": f"Bearer {token}"}


def hider(secrets: Iterable[str]) -> Callable[[str], str]:
    """A function that replaces each of `secrets` in a text by ``***``."""
    hidden = sorted({secret for secret in secrets if secret}, key=len, reverse=True)

    def hide(text: str) -> str:
        for secret in hidden:
            text = text.replace(secret, "***")
        return text

    return hide


def is_loopback(host: str) -> bool:
    """Whether `host` is this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
