"""Connections of urllib3, and of requests on top of it, under the policy and the deadline of `connections`, and with bounded answers.

The clients of vendors all stand on urllib3. Its pools are classes that name the class of their connections, and its managers hold the
classes of the pools, so each client gets ours without a change to any module of theirs.
"""

from __future__ import annotations

import socket
from collections.abc import Iterator
from functools import partial
from typing import Any, ClassVar, Final

import requests
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NameResolutionError, NewConnectionError
from urllib3.response import HTTPResponse
from urllib3.util import Retry
from urllib3.util.connection import create_connection
from urllib3.util.ssl_ import create_urllib3_context, resolve_cert_reqs

from optiinfra_assets.providers.http.answer_check import checked_body
from optiinfra_assets.providers.http.answer_size import AnswerSize
from optiinfra_assets.providers.http.connections import Opening, TimedSocket, TimedTlsSocket, current

_NO_RETRIES: Final = Retry(total=False, redirect=False, raise_on_status=False)
_PIECE_BYTES: Final = 1 << 20


class BoundedResponse(HTTPResponse):
    """An answer that is decompressed piece by piece, and refused once it is too large.

    Attributes:
        size: how large it is so far.
    """

    size: AnswerSize

    def read(self, amt: int | None = None, decode_content: bool | None = None, cache_content: bool = False) -> bytes:
        """Reads as the base class does.

        Raises:
            BadData: as `AnswerSize.add`.
        """
        if amt is not None:
            data = super().read(amt, decode_content, cache_content)
            self.size.add(data)
            return data
        pieces = []
        while piece := self.read(_PIECE_BYTES, decode_content):
            pieces.append(piece)
        return b"".join(pieces)

    def read_chunked(self, amt: int | None = None, decode_content: bool | None = None) -> Iterator[bytes]:  # type: ignore[override]
        """As `read`."""
        for piece in super().read_chunked(amt or _PIECE_BYTES, decode_content):
            self.size.add(piece)
            yield piece


class Guarded:
    """Goes before a connection class of urllib3: opens its sockets under the policy."""

    is_encrypted: ClassVar[bool] = False

    def __str__(self: Any) -> str:
        """The server: urllib3 begins the messages of its errors with the connection."""
        return f"{self.host}:{self.port}"

    def connect(self: Any) -> None:
        """Connects, with TLS if the class has it.

        Raises:
            EndpointUnusable: as `Opening`.
        """
        host, port = (self._tunnel_host, self._tunnel_port) if self._tunnel_host else (self.host, self.port)
        proxy = (self.host, self.port) if self.proxy else None
        with Opening(host, port, is_encrypted=self.is_encrypted, proxy=proxy) as self._opening:
            super().connect()  # type: ignore[misc]

    def getresponse(self: Any) -> Any:
        """Returns the answer. urllib3 has no argument for the class of answers."""
        response: HTTPResponse = super().getresponse()  # type: ignore[misc]
        response.__class__ = BoundedResponse
        response.enforce_content_length = (
            True  # some clients turn it off, and take a body that broke off for a whole one
        )
        response.size = AnswerSize(f"{self.host}{(response._request_url or '').partition('?')[0]}")  # type: ignore[attr-defined]
        return response

    def _new_conn(self: Any) -> socket.socket:
        def connect(address: str, port: int, seconds: float) -> socket.socket:
            made = create_connection((address, port), seconds, self.source_address, self.socket_options)
            timed = TimedSocket(made.family, made.type, made.proto, fileno=made.detach())
            timed.settimeout(self._opening.seconds(self.timeout))
            return timed

        try:
            found: socket.socket = self._opening.first(connect, self.timeout)
        except socket.gaierror as error:
            raise NameResolutionError(self.host, self, error) from error
        except TimeoutError as error:
            raise ConnectTimeoutError(self, f"Connection to {self.host} timed out") from error
        except OSError as error:
            raise NewConnectionError(self, f"Failed to establish a new connection: {error}") from error
        return found


class GuardedTls(Guarded):
    """As `Guarded`, for a connection class with TLS."""

    is_encrypted: ClassVar[bool] = True

    def connect(self: Any) -> None:
        """As `Guarded.connect`."""
        self.ssl_context = self.ssl_context or create_urllib3_context(cert_reqs=resolve_cert_reqs(self.cert_reqs))
        self.ssl_context.sslsocket_class = TimedTlsSocket
        super().connect()


class _Plain(Guarded, HTTPConnection):
    pass


class _Tls(GuardedTls, HTTPSConnection):
    pass


class _PlainPool(HTTPConnectionPool):
    ConnectionCls = _Plain


class _TlsPool(HTTPSConnectionPool):
    ConnectionCls = _Tls


POOLS: Final = {"http": _PlainPool, "https": _TlsPool}


class GuardedAdapter(HTTPAdapter):
    """The adapter of `guarded_session`."""

    def init_poolmanager(self, connections: int, maxsize: int, block: bool = False, **options: Any) -> None:
        """Makes the manager of direct connections."""
        super().init_poolmanager(connections, maxsize, block, blocksize=32_768, **options)
        self.poolmanager.pool_classes_by_scheme = POOLS

    def send(self, request: requests.PreparedRequest, stream: bool = False, **options: Any) -> requests.Response:  # type: ignore[override]
        """Sends a request; looks at the whole answer before a vendor's client does, unless the client reads data piece by piece.

        Raises:
            ProviderError, RetryableError: as `checked_body`.
            requests.ConnectionError: no connection comes about.
        """
        try:
            response = super().send(request, stream=stream, **options)
        except HTTPError as error:
            # requests translates errors of connections only as its own retries wrap them, and there are none.
            raise requests.ConnectionError(error, request=request) from error
        if not stream or response.status_code >= 300:
            where = f"{request.method} {(request.url or '').partition('?')[0]}"
            kind = response.headers.get("content-type", "")
            method, status = request.method or "", response.status_code
            response._content = checked_body(response.content, where, method=method, status=status, kind=kind)
        return response

    def proxy_manager_for(self, proxy: str, **options: Any) -> Any:
        """Makes the manager of connections through a proxy. A SOCKS proxy has connections of its own, so it is for the operator only."""
        manager = super().proxy_manager_for(proxy, **options)
        if not proxy.lower().startswith("socks"):
            manager.pool_classes_by_scheme = POOLS
        elif not current().network.is_everywhere:
            raise NewConnectionError(self, "not allowed: a proxy, which would resolve the name itself")  # type: ignore[arg-type]
        return manager


def guarded_session(*, trust_env: bool = True) -> requests.Session:
    """Returns a session of requests that retries nothing by itself; `trust_env`: proxies of the environment are used."""
    session: requests.Session = guard(requests.Session(), trust_env=trust_env)
    return session


def guard(session: requests.Session, *, trust_env: bool = True) -> Any:
    """Returns `session` itself, from now on with guarded connections only, and without the passwords of this machine (netrc)."""
    session.trust_env = trust_env
    session.auth = _as_it_is
    session.rebuild_auth = partial(_strip_auth, session)  # type: ignore[method-assign]
    for scheme in ("https://", "http://"):
        session.mount(scheme, GuardedAdapter(max_retries=_NO_RETRIES))
    return session


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Adds no credential: without this, requests looks for one in netrc, where an entry may be for every host."""
    return request


def _strip_auth(session: requests.Session, request: requests.PreparedRequest, response: requests.Response) -> None:
    """Takes the credential from a request that is redirected to another host, as requests does, and looks for no other one."""
    if "Authorization" in request.headers and session.should_strip_auth(str(response.request.url), str(request.url)):
        del request.headers["Authorization"]
