"""HTTP/1.1 on a plain socket, one thread a connection: reads bodies in pieces, sends responses whole or chunked."""

from __future__ import annotations

import re
import socket
import threading
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import suppress
from http import HTTPStatus
from urllib.parse import parse_qsl

import httptools

from optiinfra_assets.embedded.clickhouse.compression import decompress
from optiinfra_assets.embedded.clickhouse.errors import ClickHouseError

RECEIVE_BYTES = 256 * 1024
_LINE_BREAKS = re.compile(r"[\r\n\x00]")


class ConnectionClosed(ConnectionError):
    """The client closed the connection before its request was complete."""


class HttpRequest:
    """One request.

    Attributes:
        query: the query string after the ``?``, as received.
        headers: names in lower case.
        complete: True once the whole body has arrived.
        chunks: parts of the body that have arrived and were not read yet.
    """

    def __init__(self) -> None:
        self.method = ""
        self.path = ""
        self.query = ""
        self.headers: dict[str, str] = {}
        self.keep_alive = True
        self.complete = False
        self.chunks: deque[bytes] = deque()

    def params(self) -> dict[str, str]:
        """The parameters of the query string.

        Raises:
            ClickHouseError: a parameter is not UTF-8.
        """
        try:
            return dict(parse_qsl(self.query, keep_blank_values=True, errors="strict"))
        except ValueError as error:
            raise ClickHouseError.make(
                36, f"The parameters of the URL cannot be read: {error}", "BAD_ARGUMENTS"
            ) from None


class HttpConnection:
    """One client's connection; httptools' parser calls the `on_` methods."""

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._parser = httptools.HttpRequestParser(self)
        self._ready: deque[HttpRequest] = deque()
        self._building = HttpRequest()
        self._url = b""
        self._sending = threading.Lock()
        self._status_sent = False
        self._head_sent = False

    def on_message_begin(self) -> None:
        """The parser begins a request."""
        self._building = HttpRequest()
        self._url = b""

    def on_url(self, url: bytes) -> None:
        """The parser read a part of the target."""
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """The parser read one header."""
        self._building.headers[name.decode("latin-1").lower()] = value.decode("latin-1")

    def on_headers_complete(self) -> None:
        """The parser read all headers: the request can be handled, although its body may still be on the way."""
        request = self._building
        request.method = self._parser.get_method().decode()
        request.keep_alive = self._parser.should_keep_alive()
        request.path, _, request.query = self._url.decode("latin-1").partition("?")
        self._ready.append(request)

    def on_body(self, chunk: bytes) -> None:
        """The parser read a part of the body."""
        self._building.chunks.append(chunk)

    def on_message_complete(self) -> None:
        """The parser reached the end of the body."""
        self._building.complete = True

    def _receive(self) -> bool:
        data = self._socket.recv(RECEIVE_BYTES)
        if data:
            self._parser.feed_data(data)
        return bool(data)

    def next_request(self) -> HttpRequest | None:
        """Return the next request, or None when the client has closed the connection.

        Raises:
            httptools.HttpParserError: the received bytes are not HTTP.
        """
        self._status_sent = self._head_sent = False
        while not self._ready:
            if not self._receive():
                return None
        return self._ready.popleft()

    def body(self, request: HttpRequest) -> Iterator[bytes]:
        """Yield the body in pieces, decoded by its Content-Encoding.

        Raises:
            ConnectionClosed: the connection ends before the body.
            ClickHouseError: the encoding is unknown, or the bytes do not match it.
        """
        return decompress(request.headers.get("content-encoding", "").strip().lower(), self._raw_body(request))

    def _raw_body(self, request: HttpRequest) -> Iterator[bytes]:
        if not request.complete and request.headers.get("expect", "").lower() == "100-continue":
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        while request.chunks or not request.complete:
            while request.chunks:
                yield request.chunks.popleft()
            if not request.complete and not self._receive():
                raise ConnectionClosed("the connection closed in the middle of a request")

    def drain(self, request: HttpRequest) -> None:
        """Read the rest of the body: a client that is still sending would not read the response."""
        for _ in self._raw_body(request):
            pass

    def is_closed(self) -> bool:
        """Whether the client has closed its end. Any thread may call this while no thread reads."""
        try:
            return self._socket.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
        except BlockingIOError:
            return False
        except OSError:
            return True

    def abandon(self) -> None:
        """Wake the thread that waits until the client reads on: a client that has closed only its sending end may never do so.

        The statement of such a client was canceled and stayed: chDB took half a core for as long as nobody read its rows.
        """
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def progress(self, line: str) -> None:
        """Send one more header line before the response is known, so that the client does not time out.

        The status is 200 from then on, as with a ClickHouse server; an exception header reports an error.
        """
        with self._sending:
            if self._head_sent:
                return
            head = "" if self._status_sent else _status_line(200)
            self._status_sent = True
            self._socket.sendall(f"{head}{line}\r\n".encode("latin-1"))

    def send(self, status: int, headers: Mapping[str, str], body: bytes = b"") -> None:
        """Send a response with a whole body."""
        self.begin(status, {**headers, "Content-Length": str(len(body))}, body)

    def begin(self, status: int, headers: Mapping[str, str], beginning: bytes = b"") -> None:
        """Send the head of a response (chunked, or with its length) and the beginning of its body."""
        lines = [f"{name}: {_LINE_BREAKS.sub(' ', value)}\r\n" for name, value in headers.items()]
        with self._sending:
            head = "" if self._status_sent else _status_line(status)
            self._head_sent = True
            self._socket.sendall((head + "".join(lines) + "\r\n").encode("latin-1", "replace") + beginning)

    def raw(self, data: bytes) -> None:
        """Send one piece of a response whose length the head declares."""
        self._socket.sendall(data)

    def chunk(self, data: bytes) -> None:
        """Send one piece of a chunked response."""
        if data:
            self._socket.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def end_chunks(self, data: bytes = b"") -> None:
        """Send the last piece and end a chunked response properly; never call this after an error."""
        self.chunk(data)
        self._socket.sendall(b"0\r\n\r\n")


def _status_line(status: int) -> str:
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"


def form_fields(content_type: str, body: bytes) -> dict[str, str]:
    """Return the text fields of a multipart/form-data body, in which clickhouse-connect sends long parameters.

    Raises:
        ClickHouseError: the body has no boundary, or contains a file: external tables are not supported.
    """
    found = re.search(r'boundary="?([^";]+)"?', content_type)
    if not found:
        raise ClickHouseError.make(36, "Content-Type: multipart/form-data without a boundary", "BAD_ARGUMENTS")
    fields = {}
    for part in (b"\r\n" + body).split(b"\r\n--" + found[1].encode("latin-1"))[1:-1]:
        head, _, value = part.partition(b"\r\n\r\n")
        disposition = head.decode("utf-8", "replace")
        name = re.search(r'\bname="([^"]*)"', disposition)
        if "filename=" in disposition:
            raise ClickHouseError.make(
                48, "External data (files in the request) are not supported here", "NOT_IMPLEMENTED"
            )
        if name:
            fields[name[1]] = value.decode("utf-8", "surrogateescape")
    return fields
