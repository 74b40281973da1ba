"""Limits on the connections of clients."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from optiinfra_api.access.login_throttle import client_network


@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """Limits on the connections of one process.

    Attributes:
        header_seconds: until the headers of a request have arrived, from the opening of the connection or from the request's first byte.
        body_seconds: until its body has arrived, from then on.
        unread_seconds: how long a client may read nothing of an answer.
        header_bytes: of the request line and all headers of one request.
        connections: of one client at one time; see `client_network`.
        open: connections that are open now, by client.
    """

    header_seconds: float = 10
    body_seconds: float = 30
    unread_seconds: float = 60
    header_bytes: int = 32 * 1024
    connections: int = 500
    open: Counter[str] = field(default_factory=Counter)

    def enter(self, address: str) -> bool:
        """Count a connection from `address` as open; return whether it is within the limit."""
        client = client_network(address)
        self.open[client] += 1
        return self.open[client] <= self.connections

    def leave(self, address: str) -> None:
        """Count a connection that was entered as closed."""
        client = client_network(address)
        self.open[client] -= 1
        if not self.open[client]:
            del self.open[client]
