"""Where credentials may be sent, and where they may not show: addresses, the Authorization header, messages."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from optiinfra_assets.domain.errors import CredentialRejected


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
