"""POST /mcp: the tools over streamable HTTP, stateless, each answer one JSON object; with a bearer token of ours, as /graphql.

`protocol` speaks it, with the official SDK. That is a quarter of what the service loads, so it is loaded by the first request that has a
token. The SDK checks no ``Host`` and no ``Origin``: that protects servers without authentication from pages of other sites, and no page
can make a browser send a token. A cookie opens nothing here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from optiinfra_api.access.request_authentication import authenticated_by_token
from optiinfra_api.graphql.errors import format_unexpected
from optiinfra_api.http.disconnect import ClientDisconnected, cancel_on_disconnect
from optiinfra_api.http.http_errors import HttpError
from optiinfra_api.http.request_body import read_body
from optiinfra_api.http.request_log import CLIENT_GONE, current_request
from optiinfra_assets.database.errors import MetadataUnavailable
from optiinfra_assets.metadata.tokens import Principal

if TYPE_CHECKING:
    from mcp.server.streamable_http_manager import StreamableHTTPSessionManager

PATH: Final = "/mcp"
METADATA_PATH: Final = "/.well-known/oauth-protected-resource/mcp"
"""Where clients look for what authorizes them: RFC 9728, section 3.1."""
_PRINCIPAL: Final = "optiinfra.principal"
"""Key of an ASGI scope: whose token the request has."""


class McpEndpoint:
    """The ASGI application of `PATH`. `clock` tells which day named periods end on."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._ended = asyncio.Event()
        self._opening: asyncio.Future[StreamableHTTPSessionManager] | None = None
        self._serving: asyncio.Task[None] | None = None

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for as long as the context lasts."""
        try:
            yield
        finally:
            self._ended.set()
            if self._serving is not None:
                await self._serving

    async def _sessions(self) -> StreamableHTTPSessionManager:
        """What speaks the protocol; the first caller loads it, and others wait for that."""
        if self._opening is None:
            self._opening = asyncio.ensure_future(self._open())
        return await asyncio.shield(self._opening)  # that caller may leave meanwhile

    async def _open(self) -> StreamableHTTPSessionManager:
        open_sessions = await asyncio.to_thread(_loaded)
        started: asyncio.Future[StreamableHTTPSessionManager] = asyncio.get_running_loop().create_future()
        self._serving = asyncio.create_task(self._serve(open_sessions(self._clock, _principal), started))
        return await started

    async def _serve(
        self, sessions: StreamableHTTPSessionManager, started: asyncio.Future[StreamableHTTPSessionManager]
    ) -> None:
        """Hold the sessions open in one task: they cannot be closed by another than the one that opened them."""
        async with sessions.run():
            started.set_result(sessions)
            await self._ended.wait()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request, record = Request(scope, receive), current_request()
        try:
            principal = await authenticated_by_token(request, request.app.state.services)
            body = await read_body(request)
            sessions = await self._sessions()
            work = sessions.handle_request({**scope, _PRINCIPAL: principal}, _once(body, receive), send)
            await cancel_on_disconnect(receive, work)
        except HttpError as refused:
            record.codes.append(refused.code)
            await _refusal(request, refused)(scope, receive, send)
        except MetadataUnavailable as error:
            content, status = format_unexpected(error)
            await _json(content, status)(scope, receive, send)
        except (ClientDisconnected, ClientDisconnect):
            record.end_all("CLIENT_GONE")
            record.status = CLIENT_GONE


def _principal(request: Request) -> Principal:
    found: Principal = request.scope[_PRINCIPAL]
    return found


def _loaded() -> Callable[..., StreamableHTTPSessionManager]:
    from optiinfra_api.mcp.protocol import open_sessions  # 0.5 of the 1.9 s of CPU with which the service starts

    return open_sessions


def _once(body: bytes, receive: Receive) -> Receive:
    """The ASGI callable of a request whose body has been read."""
    waiting: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def given() -> Message:
        return waiting.pop() if waiting else await receive()

    return given


def _origin(request: Request) -> str:
    return f"{request.url.scheme}://{request.url.netloc}"


def _refusal(request: Request, refused: HttpError) -> Response:
    headers = {"Cache-Control": "no-store", **refused.headers}
    if refused.status == HTTPStatus.UNAUTHORIZED:
        headers["WWW-Authenticate"] = f'Bearer resource_metadata="{_origin(request)}{METADATA_PATH}"'
    return _json(refused.body(), refused.status, headers)


def _json(content: Any, status: HTTPStatus = HTTPStatus.OK, headers: Mapping[str, str] | None = None) -> Response:
    return Response(orjson.dumps(content), status, headers, "application/json")


async def metadata(request: Request) -> Response:
    """Answer what authorizes clients of `PATH`: a token of ours in a header. No server of OAuth issues it, so none is named."""
    content = {
        "resource": f"{_origin(request)}{PATH}",
        "resource_name": "OptiInfra",
        "bearer_methods_supported": ["header"],
    }
    return _json(content)
