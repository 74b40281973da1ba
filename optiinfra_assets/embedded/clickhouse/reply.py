"""Writes the HTTP response of one request: whole if its length is known in time, else chunked; compressed if the client accepts lz4."""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from itertools import chain
from typing import IO

from optiinfra_assets.embedded.clickhouse.compression import Lz4Compressor, accepts_lz4
from optiinfra_assets.embedded.clickhouse.errors import ClickHouseError
from optiinfra_assets.embedded.clickhouse.http import HttpConnection, HttpRequest

SMALL_ANSWER = 1024
STREAM_AFTER = 1024 * 1024

Finish = Callable[[], None]


class ResponseWriter:
    """Writes the response to `request`. A method that returns a `Finish` leaves the end of the response to the caller, who calls it.

    Attributes:
        begun: True once the status was sent; from then on an error can only break the connection.
    """

    def __init__(
        self, connection: HttpConnection, request: HttpRequest, params: Mapping[str, str], query_id: str
    ) -> None:
        self._connection = connection
        self._request = request
        self._params = params
        self._query_id = query_id
        self._exception_tag = secrets.token_hex(8)
        self.begun = False

    def whole(self, body: bytes, summary: Mapping[str, int], form: str | None) -> Finish:
        """Respond with `body` in ClickHouse format `form`; None if the body is not a result."""
        compressor = self._compressor(body)
        if compressor:
            body = compressor.compress(body) + compressor.flush()
        return partial(self._connection.send, 200, self._headers(summary, form, compressor), body)

    def rows(self, pieces: Iterator[bytes], summary: Mapping[str, int], form: str, spool: IO[bytes]) -> Finish:
        """Respond with `pieces`: whole if they are few or the client wants to wait for the end; else as they arrive.

        Args:
            summary: complete once `pieces` are exhausted.
            spool: buffers what must wait; stays open until the response has ended.

        Raises:
            ClickHouseError: raised by `pieces`.
        """
        waits = self._params.get("wait_end_of_query") == "1"
        first = next(pieces, b"")
        compressor = self._compressor(first)
        for piece in chain([first], pieces):
            spool.write(compressor.compress(piece) if compressor else piece)
            if not waits and spool.tell() > STREAM_AFTER:
                self._begin_stream(spool, self._headers({}, form, compressor))
                return self._stream(pieces, compressor)
        if compressor:
            spool.write(compressor.flush())
        return partial(self._send_spooled, spool, self._headers(summary, form, compressor))

    def fail(self, error: ClickHouseError) -> None:
        """Respond with an error.

        Raises:
            ClickHouseError: `error`, if a response has begun: the caller must break the connection.
        """
        if self.begun:
            raise error
        headers = self._headers({}, None) | {"X-ClickHouse-Exception-Code": str(error.code)}
        if error.status == 401:
            headers["WWW-Authenticate"] = 'Basic realm="ClickHouse server HTTP API"'
        self._connection.drain(self._request)
        self._connection.send(error.status, headers, error.text.encode("utf-8", "replace") + b"\n")

    def _send_spooled(self, spool: IO[bytes], headers: dict[str, str]) -> None:
        headers["Content-Length"] = str(spool.tell())
        spool.seek(0)
        self.begun = True
        self._connection.begin(200, headers, spool.read(STREAM_AFTER))
        while data := spool.read(STREAM_AFTER):
            self._connection.raw(data)

    def _begin_stream(self, spool: IO[bytes], headers: dict[str, str]) -> None:
        self.begun = True
        headers |= {"X-ClickHouse-Exception-Tag": self._exception_tag, "Transfer-Encoding": "chunked"}
        self._connection.begin(200, headers)
        spool.seek(0)
        self._connection.chunk(spool.read())

    def _stream(self, pieces: Iterator[bytes], compressor: Lz4Compressor | None) -> Finish:
        """Send the rows as they arrive. On an error, write it as a ClickHouse server does and break the connection."""
        try:
            for piece in pieces:
                self._connection.chunk(compressor.compress(piece) if compressor else piece)
        except ClickHouseError as error:
            block = _exception_block(self._exception_tag.encode(), error)
            self._connection.chunk(compressor.compress(block) + compressor.flush() if compressor else block)
            raise
        return partial(self._connection.end_chunks, compressor.flush() if compressor else b"")

    def _compressor(self, beginning: bytes) -> Lz4Compressor | None:
        if len(beginning) <= SMALL_ANSWER or self._params.get("enable_http_compression") != "1":
            return None
        return Lz4Compressor() if accepts_lz4(self._request.headers.get("accept-encoding", "")) else None

    def _headers(
        self, summary: Mapping[str, int], form: str | None, compressor: Lz4Compressor | None = None
    ) -> dict[str, str]:
        is_text = form in (None, "TabSeparated")
        headers = {
            "Content-Type": "text/plain; charset=UTF-8" if is_text else "application/octet-stream",
            "Connection": "Keep-Alive" if self._request.keep_alive else "Close",
            "X-ClickHouse-Server-Display-Name": "optiinfra",
            "X-ClickHouse-Query-Id": self._query_id,
            "X-ClickHouse-Timezone": self._params.get("session_timezone") or "UTC",
            "X-ClickHouse-Summary": json.dumps({name: str(value) for name, value in summary.items()}),
        }
        if form:
            headers["X-ClickHouse-Format"] = form
        if compressor:
            headers["Content-Encoding"] = "lz4"
        return headers


def _exception_block(tag: bytes, error: ClickHouseError) -> bytes:
    text = error.text.encode("utf-8", "replace")
    return b"\r\n__exception__\r\n%b\r\n%b\n%d %b\r\n__exception__\r\n" % (tag, text, len(text), tag)
