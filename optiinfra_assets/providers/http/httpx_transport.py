"""Connections of httpx under the policy and the deadline of `connections`."""

from __future__ import annotations

import ssl
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from optiinfra_assets.domain.errors import BadData
from optiinfra_assets.providers.http.connections import Opening, seconds_left


class GuardedTransport(httpx.HTTPTransport):
    """A transport for one host, directly or through the proxy that the environment names for it."""

    def __init__(self, address: str, verify: ssl.SSLContext | None) -> None:
        """Prepares the pool of connections; opens none.

        Args:
            address: beginning of the address of every request.
            verify: certificates that are trusted; None for plain http, which is only accepted to this machine and never takes a proxy.

        Raises:
            BadData: the address is not one.
        """
        try:
            url = httpx.URL(address)
        except httpx.InvalidURL as error:
            raise BadData(f"{address}: is not accepted: {error}: use https and the name of a host") from None
        proxy = _proxy_for(url) if verify else None
        super().__init__(verify=verify or False, proxy=proxy)
        backend = _Backend(url, has_proxy=proxy is not None)
        # httpx has no argument for the backend of httpcore, where connections are opened.
        self._pool._network_backend = backend


def _proxy_for(url: httpx.URL) -> str | None:
    return None if proxy_bypass(url.host) else getproxies().get(url.scheme)


class _Backend(httpcore.SyncBackend):
    """Opens connections for requests to one host."""

    def __init__(self, url: httpx.URL, *, has_proxy: bool) -> None:
        self._host, self._is_encrypted = url.host, url.scheme == "https"
        self._port = url.port or (443 if self._is_encrypted else 80)
        self._has_proxy = has_proxy

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore.SOCKET_OPTION] | None = None,
    ) -> httpcore.NetworkStream:
        proxy = (host, port) if self._has_proxy else None
        connect = super().connect_tcp

        def connect_to(address: str, port: int, seconds: float) -> httpcore.NetworkStream:
            return connect(address, port, seconds, local_address, socket_options)

        opening = Opening(self._host, self._port, is_encrypted=self._is_encrypted, proxy=proxy)
        with opening, _as_httpcore(httpcore.ConnectError):
            return _Stream(opening.first(connect_to, timeout), opening)


class _Stream(httpcore.NetworkStream):
    """A connection that is read until the deadline of the call at most."""

    def __init__(self, stream: httpcore.NetworkStream, opening: Opening) -> None:
        self._stream = stream
        self._opening = opening

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        with _as_httpcore(httpcore.ReadError):
            return self._stream.read(max_bytes, seconds_left(timeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        with _as_httpcore(httpcore.WriteError):
            self._stream.write(buffer, seconds_left(timeout))

    def close(self) -> None:
        self._stream.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore.NetworkStream:
        with self._opening, _as_httpcore(httpcore.ConnectError):
            encrypted = self._stream.start_tls(ssl_context, server_hostname, self._opening.seconds(timeout))
            return _Stream(encrypted, self._opening)

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


@contextmanager
def _as_httpcore(kind: type[Exception]) -> Iterator[None]:
    """Converts what this package raises itself to the errors that httpcore raises: a name without address, a deadline that passed."""
    try:
        yield
    except TimeoutError as error:
        raise httpcore.ReadTimeout(str(error)) from error
    except OSError as error:
        raise kind(str(error)) from error
