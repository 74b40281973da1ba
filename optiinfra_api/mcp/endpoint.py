"""POST /mcp: the tools over streamable HTTP, stateless, each answer one JSON object; with a bearer token of ours, as /graphql.

The official SDK speaks the protocol, of both eras. It checks no ``Host`` and no ``Origin``: that protects servers without authentication
from pages of other sites, and no page can make a browser send a token. A cookie opens nothing here.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from http import HTTPStatus
from importlib.metadata import version
from typing import Any, Final, cast

import orjson
from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool, ToolAnnotations
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from optiinfra_api.access.request_authentication import address, authenticated_by_token
from optiinfra_api.graphql.errors import format_unexpected
from optiinfra_api.http.disconnect import ClientDisconnected, cancel_on_disconnect
from optiinfra_api.http.http_errors import HttpError
from optiinfra_api.http.request_body import MAX_BODY_BYTES, read_body
from optiinfra_api.http.request_log import CLIENT_GONE, current_request
from optiinfra_api.mcp import answers
from optiinfra_api.mcp.arguments import ArgumentRefused, checked, json_schema
from optiinfra_api.mcp.caller import Caller, ToolFailed
from optiinfra_api.mcp.tools import INSTRUCTIONS, TOOLS
from optiinfra_assets.database.errors import MetadataUnavailable

PATH: Final = "/mcp"
METADATA_PATH: Final = "/.well-known/oauth-protected-resource/mcp"
"""Where clients look for what authorizes them: RFC 9728, section 3.1."""

_PRINCIPAL: Final = "optiinfra.principal"
"""Key of an ASGI scope: whose token the request has."""

_SCHEMAS: Final = {name: json_schema(tool.arguments) for name, tool in TOOLS.items()}


class McpEndpoint:
    """The ASGI application of `PATH`. `clock` tells which day named periods end on."""

    def __init__(self, clock: Callable[[], datetime]) -> None:
        self._clock = clock
        self._sessions: StreamableHTTPSessionManager

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Serve for as long as the context lasts."""
        server: Server[Any] = Server(
            "optiinfra",
            title="OptiInfra: cloud costs",
            version=version("optiinfra"),
            instructions=INSTRUCTIONS,
            on_list_tools=_list,
            on_call_tool=self._call,
            get_tool_input_schema=_SCHEMAS.get,
        )
        self._sessions = StreamableHTTPSessionManager(
            server, json_response=True, stateless=True, max_request_body_size=MAX_BODY_BYTES
        )
        async with self._sessions.run():
            yield

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        request, record = Request(scope, receive), current_request()
        try:
            principal = await authenticated_by_token(request, request.app.state.services)
            body = await read_body(request)
            work = self._sessions.handle_request({**scope, _PRINCIPAL: principal}, _once(body, receive), send)
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

    async def _call(self, context: ServerRequestContext[Any, Any], called: CallToolRequestParams) -> CallToolResult:
        request = cast(Request, context.request)
        services = request.app.state.services
        caller = Caller(request.scope[_PRINCIPAL], services, address(request), self._clock().date())
        try:
            return _result(await _answer(caller, called.name, called.arguments or {}))
        except (ArgumentRefused, ToolFailed) as refused:
            return _result(answers.error(str(refused)), is_error=True)
        except Exception as error:  # noqa: BLE001 - what is raised here must not reach the caller
            body, _ = format_unexpected(error)
            return _result(body["errors"][0]["message"], is_error=True)


async def _answer(caller: Caller, name: str, arguments: dict[str, Any]) -> str:
    tool = TOOLS.get(name)
    if tool is None:
        raise ArgumentRefused(f"name: there is no such tool: use {', '.join(TOOLS)}")
    return await tool.run(caller, checked(tool.arguments, arguments))


async def _list(_: ServerRequestContext[Any, Any], __: Any) -> ListToolsResult:
    return ListToolsResult(
        tools=[
            Tool(
                name=name,
                description=tool.description,
                input_schema=_SCHEMAS[name],
                annotations=ToolAnnotations(read_only_hint=tool.is_read_only, open_world_hint=False),
            )
            for name, tool in TOOLS.items()
        ]
    )


def _result(text: str, *, is_error: bool = False) -> CallToolResult:
    return CallToolResult(content=[TextContent(type="text", text=text)], is_error=is_error)


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
