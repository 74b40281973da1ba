"""A server that always sends one more byte, one more page or one more refusal in time does not hold a call for ever."""

from __future__ import annotations

import itertools
import json
import math
import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http.server import BaseHTTPRequestHandler

import pytest
from hostile_servers import PLACES, Place, Script, account_of, served
from loopback import HANG

from optiinfra_assets.domain.errors import Transient
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.context import Deadline, MemorySnapshots, ProviderContext
from optiinfra_assets.providers.http.client import Client
from optiinfra_assets.providers.http.pagination import Page, items
from optiinfra_assets.providers.http.retry import TRIES, DeadlineExceeded, RetryableError, with_retries
from optiinfra_assets.providers.http.urllib3_transport import guarded_session

NOW = datetime(2026, 11, 5, tzinfo=UTC)
HEADERS = b"HTTP/1.1 200 OK\r\nX-"
BODY = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000000000\r\n\r\n"


class Time:
    """Seconds that pass only when somebody waits."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def __call__(self) -> float:
        return self.seconds

    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    def context(self, seconds: float) -> ProviderContext:
        limit = Deadline.after(seconds, "OPTIINFRA_PROBE_SECONDS", self)
        return ProviderContext(
            lambda: NOW + timedelta(seconds=self.seconds), MemorySnapshots(), self.wait, deadline=limit
        )


@contextmanager
def dripping(start: bytes, tls: ssl.SSLContext | None) -> Iterator[int]:
    """A server that sends `start` and then a letter every 20 ms, on each connection."""
    ended = threading.Event()

    def drip(connection: socket.socket) -> None:
        with suppress(OSError), tls.wrap_socket(connection, server_side=True) if tls else connection as stream:
            stream.recv(65_536)
            stream.sendall(start)
            while not ended.wait(0.02):
                stream.sendall(b"a")

    def accept() -> None:
        with suppress(OSError):
            while not ended.is_set():
                threading.Thread(target=drip, args=(listener.accept()[0],), daemon=True).start()

    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield listener.getsockname()[1]
        ended.set()


@pytest.mark.parametrize("start", [HEADERS, BODY], ids=["headers", "body"])
@pytest.mark.parametrize("place", PLACES, ids=str)
def test_a_server_that_drips_is_left_at_the_deadline(place: Place, start: bytes) -> None:
    """Every single read is in time. In another thread, as a client that ignores the deadline would hang here for hours."""
    ended: list[BaseException] = []

    def call(port: int) -> None:
        limit = Deadline.after(0.4, "OPTIINFRA_PROBE_SECONDS")
        context = ProviderContext(lambda: NOW, MemorySnapshots(), lambda seconds: None, deadline=limit)
        account = account_of(place, place.local(port))
        try:
            PROVIDERS[place.provider].discover(account, context)
        except BaseException as error:  # noqa: BLE001 - looked at below
            ended.append(error)

    with dripping(start, place.tls) as port:
        thread = threading.Thread(target=call, args=(port,), daemon=True)
        thread.start()
        thread.join(HANG)
    assert [type(one) for one in ended] == [DeadlineExceeded]
    assert "within 0.4 s and" in str(ended[0])
    assert "raise OPTIINFRA_PROBE_SECONDS" in str(ended[0])


@pytest.fixture(autouse=True)
def chain(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAMACHINEMACHINE00")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-this-machine-forty-chars-long00")


def test_a_list_without_end_is_left_at_the_deadline() -> None:
    """The error says what was read and how far it came."""
    time = Time()
    context = time.context(60)
    numbers = itertools.count()

    def script(request: object) -> tuple[int, dict[str, str], bytes]:
        time.wait(1)
        return 200, {}, json.dumps({"next": str(next(numbers))}).encode()

    def read(token: str | None) -> Page[int]:
        answer = api.get("/list", {"token": token or ""}, permission="none").fields()
        return Page([1, 2], answer.text("next"))

    with (
        served(script) as port,
        Client(f"http://127.0.0.1:{port}", context, headers={}, secrets=[]) as api,
        pytest.raises(DeadlineExceeded, match=r"GET .*/list: .*within 60 s and 60 requests.*1(18|20) items had come"),
    ):
        list(items(read, "the list"))


def test_waits_do_not_go_beyond_the_deadline() -> None:
    """A provider that asks for a wait longer than what is left is not waited for."""
    time = Time()
    context = time.context(2)

    def refuse() -> None:
        raise RetryableError(Transient("busy"), 1.5)

    with pytest.raises(DeadlineExceeded, match="a thing: not read to the end within 2 s"):
        with_retries(refuse, context, "a thing")
    assert time.seconds == 1.5


def test_throttling_for_ever_ends() -> None:
    time = Time()
    context = time.context(30)
    script: Script = lambda request: (429, {"Retry-After": "4"}, b"{}")  # noqa: E731 - one answer
    with served(script) as port, Client(f"http://127.0.0.1:{port}", context, headers={}, secrets=[]) as api:
        for _ in range(5):
            with pytest.raises(Transient):
                api.get("/", permission="none")
        with pytest.raises(DeadlineExceeded):
            api.get("/", permission="none")
    assert time.seconds <= 30


def test_without_a_deadline_tries_are_as_before() -> None:
    time = Time()
    context = replace(time.context(1), deadline=Deadline())
    tries = []

    def refuse() -> None:
        tries.append(1)
        raise RetryableError(Transient("busy"))

    with pytest.raises(Transient, match="busy"):
        with_retries(refuse, context, "a thing")
    assert len(tries) == TRIES


def test_a_client_without_a_time_out_and_a_call_without_a_deadline_still_read() -> None:
    """A socket refuses to wait for an infinite number of seconds, so it must not be told to."""

    def script(request: BaseHTTPRequestHandler) -> tuple[int, dict[str, str], bytes]:
        return 200, {}, b"{}"

    context = ProviderContext(lambda: datetime(2026, 11, 5, tzinfo=UTC), MemorySnapshots())
    with served(script) as port:
        for timeout in (None, math.inf):
            ask = partial(guarded_session().get, f"http://127.0.0.1:{port}/", timeout=timeout)
            assert with_retries(ask, context, "a page").content == b"{}"
