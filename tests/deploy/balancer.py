"""One address for several servers, as a service of Kubernetes is: each connection goes to the next server that accepts it."""

from __future__ import annotations

import contextlib
import itertools
import socket
import threading
from collections import Counter
from typing import Self


class Balancer:
    """Forwards the connections of `port` to loopback ports in turn, past one where nobody listens."""

    def __init__(self, *ports: int) -> None:
        self._ports = ports
        self._turns = itertools.count()
        self._open: Counter[int] = Counter()
        self.taken: Counter[int] = Counter()
        """Connections that each server has accepted."""
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.port = int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()

    def open_at(self, port: int) -> int:
        """How many connections a server has."""
        return self._open[port]

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client: socket.socket) -> None:
        # In an order of its own: in one that it shared with others, it could meet the dead server twice and no other.
        first = next(self._turns) % len(self._ports)
        for port in (*self._ports[first:], *self._ports[:first]):
            try:
                server = socket.create_connection(("127.0.0.1", port))
            except OSError:
                continue
            self._add(port, 1)
            self.taken[port] += 1
            back = threading.Thread(target=_forward, args=(server, client), daemon=True)
            back.start()
            _forward(client, server)
            back.join()
            self._add(port, -1)
            break
        client.close()

    def _add(self, port: int, count: int) -> None:
        with self._lock:
            self._open[port] += count


def _forward(source: socket.socket, target: socket.socket) -> None:
    """Pass on until either end closes, then close both."""
    with contextlib.suppress(OSError):
        while data := source.recv(65536):
            target.sendall(data)
    for end in (source, target):
        with contextlib.suppress(OSError):
            end.shutdown(socket.SHUT_RDWR)
