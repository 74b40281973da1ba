"""Clients that send slowly, send nothing, or read nothing keep no connection; whoever is refused is told what was waited for."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from urllib.parse import urlsplit

import httpx
import pytest
from api_server import SCRAPER, serving
from graphql import get_introspection_query
from loopback import HANG, eventually
from websockets.sync.client import connect
from websockets.typing import Subprotocol
from world import World

from optiinfra_api.server.limits import ConnectionLimits

SOON = ConnectionLimits(header_seconds=0.4, body_seconds=0.8, unread_seconds=1, header_bytes=4096, connections=20)
GET = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
POST = (
    b"POST /graphql HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAuthorization: Bearer TOKEN\r\n"
    b"Content-Length: 4000\r\n"
)
CHUNKED = POST.replace(b"Content-Length: 4000", b"Transfer-Encoding: chunked")


Send = Callable[[socket.socket, str], None]


@pytest.fixture(scope="module")
def url(world: World) -> Iterator[str]:
    """A service over the databases of `world` that waits for nobody."""
    with serving(world.settings, SOON) as url:
        yield url


@pytest.fixture(scope="module")
def token(world: World) -> str:
    """A viewer's."""
    return world.customer().token


@contextmanager
def _connected(url: str) -> Iterator[socket.socket]:
    address = urlsplit(url)
    with socket.create_connection((str(address.hostname), address.port or 0), timeout=HANG) as connection:
        yield connection


def _answer(connection: socket.socket) -> bytes:
    """All that is received until the service closes the connection."""
    received = b""
    with suppress(ConnectionResetError):
        while chunk := connection.recv(65536):
            received += chunk
    return received


def _refused(received: bytes, status: str, code: str) -> str:
    """The message of an answer that refuses a connection."""
    head, _, body = received.partition(b"\r\n\r\n")
    assert head.startswith(f"HTTP/1.1 {status}\r\n".encode()), received
    assert b"x-content-type-options: nosniff" in head.lower()
    (error,) = json.loads(body)["errors"]
    assert error["extensions"] == {"code": code}
    return str(error["message"])


def _sending(text: bytes) -> Send:
    return lambda connection, token: connection.sendall(text.replace(b"TOKEN", token.encode()))


def _dripping(text: bytes, first: bytes = b"") -> Send:
    """Sends `first`, and then `text` again and again, a byte at a time, until the connection is closed."""

    def send(connection: socket.socket, token: str) -> None:
        _sending(first)(connection, token)
        for byte in text * 1000:
            try:
                connection.sendall(bytes([byte]))
            except OSError:
                return
            if select.select([connection], [], [], 0.02)[0]:
                return

    return send


def _after_an_answer(then: Send) -> Send:
    def send(connection: socket.socket, token: str) -> None:
        connection.sendall(GET + b"\r\n")
        received = b""
        while b"ok\n" not in received:
            received += connection.recv(65536)
        then(connection, token)

    return send


SLOW: dict[str, tuple[Send, str]] = {
    "nothing": (_sending(b""), "headers"),
    "half of the headers": (_sending(GET), "headers"),
    "line ends": (_sending(b"\r\n\r\n"), "headers"),
    "slow request line": (_dripping(b"x", b"GET /"), "headers"),
    "slow header": (_dripping(b"x", GET + b"X-Long: "), "headers"),
    "slow line ends": (_dripping(b"\r\n"), "headers"),
    "half of a second request": (_after_an_answer(_sending(GET)), "headers"),
    "slow second request": (_after_an_answer(_dripping(b"x", b"GET /")), "headers"),
    "slow line ends after a request": (_after_an_answer(_dripping(b"\r\n")), "headers"),
    "no body": (_sending(POST + b"\r\n"), "body"),
    "half of a body": (_sending(POST + b"\r\n{"), "body"),
    "slow body": (_dripping(b" ", POST + b"\r\n"), "body"),
    "slow chunks": (_dripping(b"1\r\n \r\n", CHUNKED + b"\r\n"), "body"),
}


@pytest.mark.parametrize("how", SLOW)
def test_a_request_that_does_not_arrive_is_given_up(url: str, token: str, how: str) -> None:
    send, part = SLOW[how]
    with _connected(url) as connection:
        send(connection, token)
        message = _refused(_answer(connection), "408 Request Timeout", "TOO_SLOW")
    assert message == f"the {part} of the request did not arrive in time: send it at once"


def test_a_body_that_nobody_waits_for_keeps_no_connection(url: str) -> None:
    with _connected(url) as connection:
        _dripping(b" ", POST.replace(b"TOKEN", b"oi_no_such_token") + b"\r\n")(connection, "")
        received = _answer(connection)
    assert received.startswith(b"HTTP/1.1 401 ")
    assert received.count(b"HTTP/1.1") == 1


@pytest.mark.parametrize(
    "text",
    [
        GET + b"X-Long: " + b"x" * 5000,
        GET + b"X: y\r\n" * 1000 + b"\r\n",
        b"GET /healthz?" + b"x" * 5000,
        CHUNKED + b"\r\n0\r\n" + b"X: y\r\n" * 1000 + b"\r\n",
    ],
    ids=["one long", "many", "request line", "trailers"],
)
def test_headers_that_are_too_large_are_refused(url: str, token: str, text: bytes) -> None:
    with _connected(url) as connection:
        _sending(text)(connection, token)
        message = _refused(_answer(connection), "431 Request Header Fields Too Large", "BAD_REQUEST")
    assert message == "the headers have more than 4096 bytes"


def test_what_is_not_http_is_refused(url: str) -> None:
    with _connected(url) as connection:
        connection.sendall(b"HELLO\r\n\r\n")
        _refused(_answer(connection), "400 Bad Request", "BAD_REQUEST")


def test_one_client_has_a_limited_number_of_connections(url: str) -> None:
    with ExitStack() as held:
        for _ in range(SOON.connections):
            _after_an_answer(_sending(b""))(held.enter_context(_connected(url)), "")
        received = _answer(held.enter_context(_connected(url)))
    said = "one client may have 20 connections at one time (OPTIINFRA_API_MAX_CONNECTIONS): close some"
    assert _refused(received, "503 Service Unavailable", "TOO_MANY_CONNECTIONS") == said
    assert eventually(lambda: httpx.get(f"{url}/healthz").status_code == 200)


def test_websockets_count_and_a_closed_one_counts_no_more(url: str, token: str) -> None:
    address = f"{url.replace('http', 'ws')}/graphql"
    for _ in range(SOON.connections + 5):
        with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]):
            pass
    with ExitStack() as held:
        for _ in range(SOON.connections):
            held.enter_context(connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]))
        with _connected(url) as connection:
            _refused(_answer(connection), "503 Service Unavailable", "TOO_MANY_CONNECTIONS")


def test_a_websocket_outlives_the_limits_of_requests(url: str) -> None:
    address = f"{url.replace('http', 'ws')}/graphql"
    with connect(address, subprotocols=[Subprotocol("graphql-transport-ws")]) as quiet:
        time.sleep(2 * SOON.body_seconds)
        assert quiet.ping().wait(HANG)


def test_an_answer_that_nobody_reads_is_given_up(world: World, url: str, token: str) -> None:
    """Sixty answers of 100 kB are more than the buffers of both sides hold; the requests are complete, so nothing else is waited for."""
    query = json.dumps({"query": get_introspection_query()}).encode()
    post = POST.replace(b"TOKEN", token.encode()).replace(b"Content-Length: 4000", b"Content-Length: %d" % len(query))
    with _connected(url) as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.sendall((post + b"\r\n" + query) * 60)
        assert eventually(lambda: SOON.open.total() == 1)
        # The client does not notice: what the kernel holds for it is before the end.
        assert eventually(lambda: not SOON.open)


def test_slow_clients_keep_nobody_waiting(url: str, token: str) -> None:
    with ExitStack() as held:
        for number in range(SOON.connections - 2):
            connection = held.enter_context(_connected(url))
            _sending([b"", GET, POST + b"\r\n"][number % 3])(connection, token)
        answer = httpx.post(
            f"{url}/graphql", json={"query": "{ __typename }"}, headers={"Authorization": f"Bearer {token}"}
        )
        assert answer.json() == {"data": {"__typename": "Query"}}


def _targets(world: World) -> list[tuple[str, str, dict[str, str]]]:
    bearer = {"Authorization": f"Bearer {world.customer().token}"}
    return [
        ("GET", "/healthz", {}),
        ("GET", "/readyz", {}),
        ("GET", "/metrics", {}),
        ("GET", "/metrics", SCRAPER),
        ("GET", "/nowhere", {}),
        ("DELETE", "/graphql", {}),
        ("GET", "/graphql", {"Accept": "text/html"}),
        ("GET", "/graphql", {}),
        ("POST", "/graphql", {}),
        ("POST", "/graphql", bearer),
        ("GET", "/export/total.csv", {}),
        ("GET", "/export/total.csv?start=2026-10-01&end=2026-11-01", bearer),
        ("GET", "/export/nothing.csv", bearer),
        ("OPTIONS", "/graphql", {"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}),
    ]


def test_every_answer_says_that_it_is_what_it_says(world: World, url: str) -> None:
    for method, target, headers in _targets(world):
        answer = httpx.request(method, f"{url}{target}", headers=headers)
        where = (method, target, answer.status_code)
        assert answer.headers.get_list("x-content-type-options") == ["nosniff"], where
        assert answer.headers["x-frame-options"] == "DENY", where
        is_page = answer.headers.get("content-type", "").startswith("text/html")
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy, where
        assert ("script-src" in policy) == is_page, where


UPGRADE = (
    b"Host: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
)


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"GET /graphql HTTP/1.1\r\n" + UPGRADE, b"101"),
        (b"GET /nowhere HTTP/1.1\r\n" + UPGRADE, b"403"),
        (b"GET /graphql HTTP/1.1\r\n" + UPGRADE.replace(b"Version: 13", b"Version: 7"), b"400"),
        (b"GET /graphql HTTP/1.1\r\n" + UPGRADE.replace(b"Key: dGhl", b"Key: "), b"400"),
    ],
    ids=["accepted", "no such path", "version", "key"],
)
def test_a_websocket_is_answered_with_the_same_headers(url: str, request_: bytes, status: bytes) -> None:
    with _connected(url) as connection:
        connection.sendall(request_ + b"\r\n")
        received = connection.recv(65536)
    assert received.startswith(b"HTTP/1.1 " + status), received
    assert received.lower().count(b"x-content-type-options: nosniff") == 1
