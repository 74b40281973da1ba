"""Sends a mail over SMTP, under the policy and the deadline of connections to providers."""

from __future__ import annotations

import smtplib
import socket
import ssl
from email.message import EmailMessage
from typing import Any, Final

from optiinfra_assets.domain.errors import ProviderError
from optiinfra_assets.notifications.channel_models import EmailChannel
from optiinfra_assets.notifications.errors import NotReceived
from optiinfra_assets.providers.context import ProviderContext
from optiinfra_assets.providers.http.connections import Opening, TimedSocket, TimedTlsSocket, during
from optiinfra_assets.providers.http.redaction import redactor

_SECONDS: Final = 10.0
"""Of one step."""


def send(channel: EmailChannel, made: EmailMessage, context: ProviderContext) -> str | None:
    """Send a mail; return which recipients the server refused, if it took the mail for others.

    Raises:
        NotReceived: the policy does not allow the server, it cannot be reached, has no encryption, or refuses the user or the mail.
    """
    where = f"{channel.host}:{channel.port}"
    hide = redactor([channel.password.get_secret_value()] if channel.password else [])
    try:
        with during(context):
            return _sent(channel, made)
    except smtplib.SMTPAuthenticationError as error:
        raise NotReceived(f"{where}: refuses the user or the password ({error.smtp_code})") from None
    except smtplib.SMTPRecipientsRefused as error:
        raise NotReceived(f"{where}: refuses every recipient ({_codes(error.recipients)})") from None
    except smtplib.SMTPResponseException as error:
        said = context.network.quoted(hide(_text(error.smtp_error)))
        raise NotReceived(f"{where}: answers {error.smtp_code}: {said}") from None
    except ProviderError as error:
        raise NotReceived(str(error)) from None
    except (smtplib.SMTPException, OSError, ValueError) as error:
        raise NotReceived(f"{where}: {context.network.quoted(hide(str(error)) or type(error).__name__)}") from None


def _sent(channel: EmailChannel, made: EmailMessage) -> str | None:
    opening = Opening(channel.host, channel.port, is_encrypted=channel.security != "none")
    client = _Client(opening, channel)
    try:
        with opening:
            client.open()
        if channel.username and channel.password:
            client.login(channel.username, channel.password.get_secret_value())
        refused = client.send_message(made)
        return f"refused for some recipients ({_codes(refused)})" if refused else None
    finally:
        client.close()


class _Client(smtplib.SMTP):
    """A client whose sockets are opened under the policy, and read until the deadline at most."""

    def __init__(self, opening: Opening, channel: EmailChannel) -> None:
        super().__init__(local_hostname="localhost", timeout=_SECONDS)
        self._opening, self._channel = opening, channel

    def open(self) -> None:
        """Connect, with the encryption of the channel; without it no user, password or mail is sent."""
        host, security = self._channel.host, self._channel.security
        self._host = host  # what a certificate has to prove: `connect` is not told it, as the name is resolved once, by `Opening`
        code, said = self.connect(host, self._channel.port)
        if code != 220:
            raise smtplib.SMTPConnectError(code, said)
        if security == "starttls":
            self.starttls(context=_tls())
        self.ehlo_or_helo_if_needed()

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        opened = self._opening.first(_connect, timeout)
        if self._channel.security != "tls":
            return opened
        opened.settimeout(self._opening.seconds(timeout))
        return _tls().wrap_socket(opened, server_hostname=host)


def _connect(address: str, port: int, seconds: float) -> socket.socket:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    opened = TimedSocket(family, socket.SOCK_STREAM)
    try:
        opened.settimeout(seconds)
        opened.connect((address, port))
    except OSError:
        opened.close()
        raise
    return opened


def _tls() -> ssl.SSLContext:
    """A context of its own, as its sockets are read until the deadline at most."""
    made = ssl.create_default_context()
    made.sslsocket_class = TimedTlsSocket
    return made


def _codes(refused: dict[str, tuple[int, bytes]]) -> str:
    return ", ".join(f"{recipient} {code}" for recipient, (code, _) in sorted(refused.items()))


def _text(said: bytes | str) -> str:
    text = said.decode(errors="replace") if isinstance(said, bytes) else said
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:200]
