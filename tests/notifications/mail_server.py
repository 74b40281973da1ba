"""A server of SMTP with STARTTLS on a loopback port, as small as tests of channels need."""

from __future__ import annotations

import base64
import email
import email.policy
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from optiinfra_assets.simulators.server.certificates import Certificate


@dataclass(slots=True)
class MailServer:
    """Takes mail for all but `refused`, from whoever knows the password. `has_tls` False: it offers no encryption.

    `quotes`: it takes no sender, and says who logged in.
    """

    certificate: Certificate
    password: str
    has_tls: bool = True
    refused: frozenset[str] = frozenset()
    quotes: bool = False
    port: int = 0
    said: list[str] = field(default_factory=list)
    mails: list[Any] = field(default_factory=list)
    users: list[bytes] = field(default_factory=list)

    def serve(self, connection: socket.socket) -> None:
        """Speak with one client."""
        connection.sendall(b"220 mail.test\r\n")
        stream, file, is_encrypted = connection, connection.makefile("rb"), False
        while line := file.readline():
            command = line.decode().strip()
            self.said.append(command)
            if command.upper() == "STARTTLS":
                stream.sendall(b"220 go on\r\n")
                stream = self.certificate.tls.wrap_socket(stream, server_side=True)
                file, is_encrypted = stream.makefile("rb"), True
            elif command.upper() == "DATA":
                stream.sendall(b"354 begin\r\n")
                lines = iter(file.readline, b".\r\n")
                self.mails.append(email.message_from_bytes(b"".join(lines), policy=email.policy.default))
                stream.sendall(b"250 taken\r\n")
            else:
                stream.sendall(self._answer(command, is_encrypted=is_encrypted))

    def _answer(self, command: str, *, is_encrypted: bool) -> bytes:
        verb = command.split()[0].upper()
        if verb == "EHLO":
            offers = ["mail.test", "AUTH PLAIN"] + (["STARTTLS"] if self.has_tls and not is_encrypted else [])
            marks = ["-"] * (len(offers) - 1) + [" "]
            return "".join(f"250{mark}{one}\r\n" for mark, one in zip(marks, offers, strict=True)).encode()
        if verb == "AUTH":
            self.users.append(base64.b64decode(command.split()[2]))
            return b"235 welcome\r\n" if self.users[-1].endswith(self.password.encode()) else b"535 no\r\n"
        if verb == "MAIL" and self.quotes:
            return b"550 not for " + self.users[-1].replace(b"\0", b" ") + b"\r\n"
        if verb == "RCPT" and command.split("<")[1].split(">")[0] in self.refused:
            return b"550 not here\r\n"
        return b"221 bye\r\n" if verb == "QUIT" else b"250 fine\r\n"


@contextmanager
def mail_served(password: str) -> Iterator[MailServer]:
    """A mail server that listens as long as the context is open."""
    server = MailServer(Certificate.make(0), password)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        server.port = listener.getsockname()[1]

        def accept() -> None:
            with suppress(OSError):
                while True:
                    connection, _ = listener.accept()
                    with connection, suppress(OSError, ssl.SSLError):
                        server.serve(connection)

        threading.Thread(target=accept, daemon=True).start()
        try:
            yield server
        finally:
            listener.shutdown(socket.SHUT_RDWR)
            server.certificate.remove()
