"""Opens every connection to a provider, whichever client asks for it, within the policy and the deadline of the call.

`during` names the call whose requests a thread makes now; `retry.with_retries` does that for every request. The clients of vendors know
neither policy nor deadline, so they get connections that look both up here: ``httpx_transport`` and ``urllib3_transport``. A connection
that is opened outside of a call is refused.

A customer must not learn from errors what is in the network of the platform. So any failure to connect to a host that is neither the
provider's nor the operator's has one text and takes one time: whether it is refused here, does not exist, is closed or speaks no TLS.
"""

from __future__ import annotations

import logging
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

from optiinfra_assets.domain.errors import Transient

if TYPE_CHECKING:
    from optiinfra_assets.providers.context import ProviderContext

LOG: Final = logging.getLogger("optiinfra.connections")

ALIKE_SECONDS: Final = 5.0
"""How long any failure to connect to a stranger takes."""
LONGEST_WAIT: Final = 86_400.0
"""Seconds of one step of a call without a deadline, whose client sets no time-out: a socket refuses to wait for ever in seconds."""

T = TypeVar("T")

_call: ContextVar[ProviderContext | None] = ContextVar("_call", default=None)


class EndpointUnusable(Transient):
    """A host that is neither the provider's nor the operator's could not be reached. The message says no more, on purpose."""


@contextmanager
def during(context: ProviderContext) -> Iterator[None]:
    """Makes `context` that of all connections and waits of this thread in the block."""
    token = _call.set(context)
    try:
        yield
    finally:
        _call.reset(token)


def current() -> ProviderContext:
    """Returns the context of the call that this thread makes requests for.

    Raises:
        RuntimeError: there is none, so nobody said where the request may go.
    """
    context = _call.get()
    if context is None:
        raise RuntimeError("a request outside of `with_retries`: it has no policy and no deadline")
    return context


class Opening:
    """One attempt to connect to a host. Use it in a ``with`` around everything until the connection can be used, TLS included.

    Raises from the block:
        EndpointUnusable: for any error, if the host is neither the provider's nor the operator's.
    """

    def __init__(
        self, host: str, port: int, *, is_encrypted: bool = True, proxy: tuple[str, int] | None = None
    ) -> None:
        """Stores the arguments; connects to nothing.

        Args:
            host: name or address of the server that the request is for.
            port: its port.
            is_encrypted: the server has to prove its name by a certificate.
            proxy: host and port of the proxy that will resolve the name and connect, from the environment of this process.
        """
        self._context = current()
        self._host, self._port = host, port
        self._is_encrypted, self._proxy = is_encrypted, proxy
        self._is_known = self._context.network.trusts(host, port)
        self._end = self._context.deadline.now() + ALIKE_SECONDS

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not self._is_known:
            LOG.warning("connection to %s:%s failed: %s", self._host, self._port, error)
            self._context.sleep(max(0.0, self._end - self._context.deadline.now()))
            raise EndpointUnusable(
                f"{self._host}: no usable answer: check the address: https to a host of the public internet with a valid "
                "certificate is accepted; or try again later"
            ) from None

    def first(self, connect: Callable[[str, int, float], T], timeout: float | None) -> T:
        """Returns the connection to the first address of the host, or of the proxy, that answers.

        Args:
            connect: connects to an IP address and a port, within some seconds.
            timeout: seconds that the client allows for each address.

        Raises:
            OSError: the name does not exist, or the policy of the call does not allow one of its addresses.
            Exception: as `connect` for the last address, if none answers.
        """
        failed: Exception = OSError("the name has no address")
        for address, port in self._addresses():
            try:
                return connect(address, port, self.seconds(timeout))
            except Exception as error:  # noqa: BLE001 - raised again after the last address
                failed = error
        raise failed

    def seconds(self, timeout: float | None) -> float:
        """Returns the seconds that the next step may take; `timeout` is what the client allows.

        Raises:
            TimeoutError: the deadline of the call has passed.
        """
        left = seconds_left(timeout)
        return left if self._is_known else min(left, max(0.001, self._end - self._context.deadline.now()))

    def _addresses(self) -> list[tuple[str, int]]:
        """Resolves the name once, so that it cannot lead elsewhere between the check and the connection."""
        if not self._is_known and (self._proxy or not self._is_encrypted):
            raise PermissionError("not allowed: a proxy, which would resolve the name itself, or no encryption")
        host, port = self._proxy or (self._host, self._port)
        found = [str(one[4][0]) for one in socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)]
        for address in found:
            if self._proxy is None and not self._context.network.accepts(host, port, address):
                raise PermissionError(f"not allowed: {address}")
        return [(address, port) for address in found]


def seconds_left(timeout: float | None) -> float:
    """Returns `timeout`, or the seconds until the deadline of the call if they are fewer, and never more than a socket can wait.

    Raises:
        TimeoutError: the deadline has passed.
    """
    left = current().deadline.left()
    if left <= 0:
        raise TimeoutError("the deadline of the call has passed")
    return min(LONGEST_WAIT if timeout is None else timeout, left, LONGEST_WAIT)


class _Timed:
    """Reads no longer than the deadline of the call: a server that sends a byte now and then never exceeds the time-out of one read."""

    def settimeout(self, value: float | None) -> None:
        """Sets the time-out as the base class does, but none that it cannot wait for."""
        super().settimeout(value if value is None else min(value, LONGEST_WAIT))  # type: ignore[misc]

    def recv_into(self, *arguments: Any) -> int:
        """Reads as the base class does."""
        self._shorten()
        count: int = super().recv_into(*arguments)  # type: ignore[misc]
        return count

    def recv(self, *arguments: Any) -> bytes:
        """Reads as the base class does."""
        self._shorten()
        data: bytes = super().recv(*arguments)  # type: ignore[misc]
        return data

    def _shorten(self: Any) -> None:
        # Clients set their time-out again before each request.
        self.settimeout(seconds_left(self.gettimeout()))


class TimedSocket(_Timed, socket.socket):
    """A socket without encryption."""


class TimedTlsSocket(_Timed, ssl.SSLSocket):
    """A socket with encryption; for ``SSLContext.sslsocket_class``."""
