"""A TCP relay that hangs up on one kind of request: before the server has it, or before the client has all of the answer."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Relay:
    """Forwards every connection of `port` to one address, but hangs up on a request that contains `lost`.

    If it is `delivered`, the server carries it out and only the answer is lost, but for its first `answered` bytes.
    """

    def __init__(self, host: str, port: int, lost: bytes, *, delivered: bool, answered: int = 0) -> None:
        self._target = (host, port)
        self._delivered = delivered
        self._answered = answered
        self._lost = lost
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        """Take no more connections."""
        self._listener.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                is_lost = threading.Event()
                threading.Thread(target=self._requests, args=(client, server, is_lost), daemon=True).start()
                threading.Thread(target=self._answers, args=(server, client, is_lost), daemon=True).start()

    def _requests(self, client: socket.socket, server: socket.socket, is_lost: threading.Event) -> None:
        with _hanging_up(client, server):
            while data := client.recv(65536):
                if self._lost in data:
                    is_lost.set()
                    if not self._delivered:
                        return
                server.sendall(data)

    def _answers(self, server: socket.socket, client: socket.socket, is_lost: threading.Event) -> None:
        with _hanging_up(client, server):
            while (data := server.recv(65536)) and not is_lost.is_set():
                client.sendall(data)
            left = self._answered
            while data and left > 0:
                client.sendall(data[:left])
                left -= len(data)
                data = server.recv(65536)


@contextlib.contextmanager
def _hanging_up(*ends: socket.socket) -> Iterator[None]:
    with contextlib.suppress(OSError):
        yield
    for end in ends:
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def relay(host: str, port: int, lost: bytes, *, delivered: bool, answered: int = 0) -> Iterator[Relay]:
    """A running relay, closed at the end."""
    running = Relay(host, port, lost, delivered=delivered, answered=answered)
    try:
        yield running
    finally:
        running.close()
