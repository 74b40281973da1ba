"""uvicorn's connections with limits on waiting and size; uvicorn itself limits only how long a connection is idle after a request.

A client that sends its request one byte a second, or reads nothing of its answer, holds a connection and memory for as long as it likes.
Here its connection is closed: with 408 and what was waited for if the request is not complete, without an answer if it does not read.
"""

from __future__ import annotations

import asyncio
from http import HTTPStatus
from typing import Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Response

from optiinfra_api.http.http_errors import HttpError, bad_request
from optiinfra_api.http.security_headers import SECURITY_HEADERS
from optiinfra_api.server.limits import ConnectionLimits

_HEADERS, _BODY = "headers", "body"
_AROUND_HEADER = 4
"""Bytes of the colon, the space and the line end."""


class _HeadersTooLarge(Exception):
    """Stops the parser."""


class LimitedHttp(HttpToolsProtocol):
    """One HTTP connection, until it ends or becomes a WebSocket."""

    def __init__(self, limits: ConnectionLimits, **how: Any) -> None:
        super().__init__(**how)
        self._limits = limits
        self._awaited: str | None = None
        self._deadline: asyncio.TimerHandle | None = None
        self._unread: asyncio.TimerHandle | None = None
        self._header_bytes = 0
        self._is_counted = False

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Wait for the first request, or refuse the connection if its client has too many."""
        super().connection_made(transport)
        self._is_counted = True
        self._await(_HEADERS)
        if not self._limits.enter(_address(self)):
            most = self._limits.connections
            said = f"one client may have {most} connections at one time (OPTIINFRA_API_MAX_CONNECTIONS): close some"
            self._refuse(HttpError(HTTPStatus.SERVICE_UNAVAILABLE, "TOO_MANY_CONNECTIONS", said))

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        self._leave()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what has arrived."""
        if self.transport.is_closing():
            return
        super().data_received(data)
        if not self._is_counted:
            return  # it has become a WebSocket
        if self._awaited == _HEADERS:
            # The parser hands a header over when it is complete.
            self._count(len(data), stop=False)
        elif self._awaited is None and self.timeout_keep_alive_task is None and not self._is_answering():
            # A line end between two requests has ended uvicorn's timer and begun no request.
            self._await(_HEADERS)

    def handle_websocket_upgrade(self) -> None:
        """Hand the connection over to the WebSocket."""
        self._leave()
        super().handle_websocket_upgrade()

    def on_message_begin(self) -> None:
        """Wait for the headers of a request that begins."""
        super().on_message_begin()
        self._header_bytes = 0
        self._await(_HEADERS)

    def on_url(self, url: bytes) -> None:
        """Take a part of the request line."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header, or a trailer after the body."""
        self._count(len(name) + len(value) + _AROUND_HEADER)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Wait for the body."""
        self._await(_BODY)
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Wait no longer: the request is complete."""
        self._await(None)
        super().on_message_complete()

    def pause_writing(self) -> None:
        """Close the connection if the client goes on reading nothing."""
        super().pause_writing()
        self._unread = self.loop.call_later(self._limits.unread_seconds, self.transport.abort)

    def resume_writing(self) -> None:
        """The client has read."""
        super().resume_writing()
        self._stop(self._unread)

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP."""
        if not self.transport.is_closing():
            self._refuse(bad_request(msg))

    def _await(self, part: str | None) -> None:
        """Wait for a part of the request from now on, None: for nothing."""
        self._awaited = part
        self._stop(self._deadline)
        if part is not None:
            seconds = self._limits.header_seconds if part == _HEADERS else self._limits.body_seconds
            self._deadline = self.loop.call_later(seconds, self._late, part)

    def _late(self, part: str) -> None:
        if self.flow.read_paused or (part == _HEADERS and self._is_answering()):
            self._await(part)  # it is we who do not read, or who have not answered the request before
            return
        if part == _BODY and not self._is_answering():
            self.transport.close()  # answered, as by 401, before the body was there
            return
        said = f"the {part} of the request did not arrive in time: send it at once"
        self._refuse(HttpError(HTTPStatus.REQUEST_TIMEOUT, "TOO_SLOW", said))

    def _is_answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _count(self, size: int, *, stop: bool = True) -> None:
        self._header_bytes += size
        if self._header_bytes > self._limits.header_bytes:
            said = f"the headers have more than {self._limits.header_bytes} bytes"
            self._refuse(HttpError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "BAD_REQUEST", said))
            if stop:
                raise _HeadersTooLarge

    def _refuse(self, error: HttpError) -> None:
        """Answer with an error, unless another answer has begun, and close the connection."""
        cycle = self.cycle
        is_amid_answer = self.pipeline or (self._is_answering() and cycle.response_started)
        if not is_amid_answer:
            content = orjson.dumps(error.body())
            headers = {
                "Content-Type": "application/json",
                "Content-Length": str(len(content)),
                "Connection": "close",
                **SECURITY_HEADERS,
                **error.headers,
            }
            lines = b"".join(f"{name}: {value}\r\n".encode() for name, value in headers.items())
            self.transport.write(STATUS_LINE[error.status] + lines + b"\r\n" + content)
        if self._is_answering():
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _leave(self) -> None:
        self._stop(self._deadline)
        self._stop(self._unread)
        if self._is_counted:
            self._is_counted = False
            self._limits.leave(_address(self))

    @staticmethod
    def _stop(timer: asyncio.TimerHandle | None) -> None:
        if timer is not None:
            timer.cancel()


class LimitedWebSocket(WebSocketsSansIOProtocol):
    """One WebSocket, counted as a connection of its client."""

    def __init__(self, limits: ConnectionLimits, **how: Any) -> None:
        super().__init__(**how)
        self._limits = limits
        reject = self.conn.reject

        def with_headers(status: HTTPStatus | int, text: str) -> Response:
            response = reject(status, text)
            response.headers.update(SECURITY_HEADERS)
            return response

        self.conn.reject = with_headers  # type: ignore[method-assign]

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Count the connection, which its HTTP part has left."""
        super().connection_made(transport)
        self._limits.enter(_address(self))

    def connection_lost(self, exc: Exception | None) -> None:
        """Count the connection as closed."""
        self._limits.leave(_address(self))
        super().connection_lost(exc)


def _address(connection: LimitedHttp | LimitedWebSocket) -> str:
    return connection.client[0] if connection.client else "unknown"
