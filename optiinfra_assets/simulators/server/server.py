"""Serves a simulated cloud on a loopback port: real HTTP for the real clients, with the faults of real clouds on demand.

A simulator of a provider is a subclass that answers requests from its `World`::

    class SomeCloud(SimulatedCloud):
        def answer(self, request: SimulatedRequest) -> SimulatedResponse:
            if request.headers.get("authorization") != "Bearer " + self.secret:
                return SimulatedResponse.of({"error": "no such token"}, status=401)
            if request.path == "/v2/charges":
                return SimulatedResponse.of({"charges": [...]})  # Decimals are written with all digits
            return SimulatedResponse.of({"error": "not found"}, status=404)

        def throttled(self) -> SimulatedResponse:
            return SimulatedResponse.of({"error": "slow down"}, status=429, headers={"Retry-After": "30"})

    with SomeCloud(world, secret="planted") as cloud:
        cloud.fail(throttle(), times=2)                          # the next two requests
        cloud.fail(truncate(), path="/v2/charges")               # the next one there
        ...                                                      # point the provider at cloud.url

The subclass simulates pages, wrong tokens and missing permissions in the provider's own way; ``faults.py`` has the other faults.
``account.py`` has what the accounts of all clouds offer.
"""

from __future__ import annotations

import re
import ssl
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self
from urllib.parse import parse_qs, unquote, urlsplit

from optiinfra_assets.simulators.server.wire import to_json
from optiinfra_assets.simulators.world.world import World


@dataclass(frozen=True, slots=True)
class SimulatedRequest:
    """A client's request.

    Attributes:
        path: decoded, without the query.
        query: the last value of each parameter.
        headers: names in lower case.
    """

    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def text(self) -> str:
        """What tells requests apart: ``GET /path``, the header X-Amz-Target and the body, each on a line of its own."""
        target = self.headers.get("x-amz-target", "")
        return f"{self.method} {self.path}\n{target}\n{self.body.decode(errors='replace')}"


@dataclass(frozen=True, slots=True)
class SimulatedResponse:
    """The cloud's response.

    Attributes:
        cut_at: bytes of the body after which the connection breaks although the whole length was announced; None: the body is whole.
    """

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    cut_at: int | None = None

    @classmethod
    def of(cls, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> SimulatedResponse:
        """Make a JSON response; Decimals are written as numbers with all digits."""
        return cls(status, to_json(value).encode(), {"Content-Type": "application/json", **(headers or {})})


Answering = Callable[[SimulatedRequest], SimulatedResponse]
Fault = Callable[["SimulatedCloud", SimulatedRequest, Answering], SimulatedResponse]
"""Answers one request in place of the cloud, and may call the cloud for the right response."""


@dataclass(slots=True)
class _Planned:
    fault: Fault
    times: int
    path: str
    pattern: re.Pattern[str]

    def fits(self, request: SimulatedRequest) -> bool:
        return self.path in request.path and self.pattern.search(request.text) is not None


class SimulatedCloud(ABC):
    """One simulated account of one cloud, on a free port of 127.0.0.1, from ``with`` or `start` until its end or `stop`.

    Attributes:
        world: the charges that it shows.
        secret: the credential it accepts.
        asked: every request received, oldest first.
        tls: TLS context, set before `start`; None: plain HTTP.
    """

    def __init__(self, world: World, *, secret: str, port: int = 0) -> None:
        """Prepare the cloud; it does not listen yet.

        Args:
            world: the charges to show.
            secret: the credential to accept.
            port: 0 for a free one.
        """
        self.world = world
        self.secret = secret
        self.asked: list[SimulatedRequest] = []
        self.tls: ssl.SSLContext | None = None
        self._port = port
        self._planned: list[_Planned] = []
        self._last: dict[str, SimulatedResponse] = {}
        self._lock = threading.Lock()
        self._server: ThreadingHTTPServer | None = None

    @abstractmethod
    def answer(self, request: SimulatedRequest) -> SimulatedResponse:
        """Return the right response to a request, without faults. Called from several threads."""

    def tell(self, request: SimulatedRequest) -> SimulatedResponse:
        """Return the response without planned faults; a subclass may change it before it is sent."""
        return self.answer(request)

    def throttled(self) -> SimulatedResponse:
        """The provider's own response for "too many requests"."""
        return SimulatedResponse.of({"error": "too many requests"}, status=429)

    def broken(self) -> SimulatedResponse:
        """The provider's own response for an internal error."""
        return SimulatedResponse.of({"error": "internal error"}, status=500)

    def refusal(self, status: int, code: str, said: str) -> SimulatedResponse:
        """The provider's own response for an error that a test invents."""
        return SimulatedResponse.of({"error": said}, status=status)

    def fail(self, fault: Fault, *, times: int = 1, path: str = "", pattern: str = "") -> None:
        """Answer the next `times` requests whose path contains `path`, and whose text has `pattern`, with `fault`, in the planned order."""
        with self._lock:
            self._planned.append(_Planned(fault, times, path, re.compile(pattern)))

    def recover(self) -> None:
        """Remove all planned faults."""
        with self._lock:
            self._planned.clear()

    @property
    def url(self) -> str:
        """Base URL for clients, without a trailing slash."""
        if self._server is None:
            raise RuntimeError("the simulated cloud is not started")
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self._server.server_address[1]}"

    def start(self) -> None:
        """Listen, in threads of this process."""
        self._server = _Server(("127.0.0.1", self._port), _handler(self))
        if self.tls is not None:
            # The thread of each connection does the handshake: one that never completes must not keep others out.
            self._server.socket = self.tls.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def respond(self, request: SimulatedRequest) -> SimulatedResponse:
        """Return the response to a request, with the fault that is planned for it."""
        with self._lock:
            self.asked.append(request)
            planned = next((plan for plan in self._planned if plan.fits(request)), None)
            if planned is not None:
                planned.times -= 1
                if planned.times == 0:
                    self._planned.remove(planned)
        response = planned.fault(self, request, self.tell) if planned else self.tell(request)
        with self._lock:
            self._last[request.path] = response
        return response

    def last(self, path: str) -> SimulatedResponse | None:
        """The last response at a path."""
        with self._lock:
            return self._last.get(path)


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore a client that hangs up or does not trust our certificate."""
        if not isinstance(sys.exc_info()[1], OSError):
            super().handle_error(request, client_address)


def _handler(cloud: SimulatedCloud) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def handle_one(self) -> None:
            parts = urlsplit(self.path)
            query = {name: values[-1] for name, values in parse_qs(parts.query, keep_blank_values=True).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(int(headers.get("content-length", 0)))
            self._write(cloud.respond(SimulatedRequest(self.command, unquote(parts.path), query, headers, body)))

        def _write(self, response: SimulatedResponse) -> None:
            self.send_response(response.status)
            for name, value in {**response.headers, "Content-Length": str(len(response.body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(response.body if response.cut_at is None else response.body[: response.cut_at])
            self.close_connection = self.close_connection or response.cut_at is not None

        do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = handle_one

        def log_message(self, format: str, *args: Any) -> None:
            """Log nothing: `asked` holds every request."""

    return Handler
