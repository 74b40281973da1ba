"""Binds the socket of a server."""

from __future__ import annotations

import socket


def listen(host: str, port: int, setting: str) -> socket.socket:
    """Return a bound socket, which the processes of the server may share.

    Args:
        host: the address to listen on.
        port: the port; 0: a free one.
        setting: the environment variable that changes the port, for the message.

    Raises:
        OSError: the port cannot be bound; the message names address and port.
    """
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listening.bind((host, port))
    except OSError as error:
        raise OSError(f"cannot listen on {host} port {port}: {error.strerror}: use --port, or set {setting}") from None
    listening.set_inheritable(True)
    return listening
