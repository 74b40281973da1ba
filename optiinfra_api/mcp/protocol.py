"""Speaks the Model Context Protocol, of both eras, by its official SDK: which tools there are, and what each answers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import datetime
from importlib.metadata import version
from typing import Any, Final, cast

from mcp.server.context import ServerRequestContext
from mcp.server.lowlevel.server import Server
from mcp.server.streamable_http_manager import StreamableHTTPSessionManager
from mcp_types import CallToolRequestParams, CallToolResult, ListToolsResult, TextContent, Tool, ToolAnnotations
from starlette.requests import Request

from optiinfra_api.access.request_authentication import address
from optiinfra_api.graphql.errors import format_unexpected
from optiinfra_api.http.request_body import MAX_BODY_BYTES
from optiinfra_api.mcp import answers
from optiinfra_api.mcp.arguments import ArgumentRefused, checked, json_schema
from optiinfra_api.mcp.caller import Caller, ToolFailed
from optiinfra_api.mcp.tools import INSTRUCTIONS, TOOLS
from optiinfra_assets.metadata.tokens import Principal

_SCHEMAS: Final = {name: json_schema(tool.arguments) for name, tool in TOOLS.items()}

_Call = Callable[[ServerRequestContext[Any, Any], CallToolRequestParams], Awaitable[CallToolResult]]


def open_sessions(
    clock: Callable[[], datetime], principal: Callable[[Request], Principal]
) -> StreamableHTTPSessionManager:
    """Return what answers requests while its `run` lasts.

    Args:
        clock: tells which day named periods end on.
        principal: whose token a request has.
    """
    server: Server[Any] = Server(
        "optiinfra",
        title="OptiInfra: cloud costs",
        version=version("optiinfra"),
        instructions=INSTRUCTIONS,
        on_list_tools=_list_tools,
        on_call_tool=_calling(clock, principal),
        get_tool_input_schema=_SCHEMAS.get,
    )
    return StreamableHTTPSessionManager(
        server, json_response=True, stateless=True, max_request_body_size=MAX_BODY_BYTES
    )


def _calling(clock: Callable[[], datetime], principal: Callable[[Request], Principal]) -> _Call:
    async def call(context: ServerRequestContext[Any, Any], called: CallToolRequestParams) -> CallToolResult:
        request = cast(Request, context.request)
        services = request.app.state.services
        caller = Caller(principal(request), services, address(request), clock().date())
        try:
            return _result(await _answer(caller, called.name, called.arguments or {}))
        except (ArgumentRefused, ToolFailed) as refused:
            return _result(answers.error(str(refused)), is_error=True)
        except Exception as error:  # noqa: BLE001 - what is raised here must not reach the caller
            body, _ = format_unexpected(error)
            return _result(body["errors"][0]["message"], is_error=True)

    return call


async def _answer(caller: Caller, name: str, arguments: dict[str, Any]) -> str:
    tool = TOOLS.get(name)
    if tool is None:
        raise ArgumentRefused(f"name: there is no such tool: use {', '.join(TOOLS)}")
    return await tool.run(caller, checked(tool.arguments, arguments))


async def _list_tools(_: ServerRequestContext[Any, Any], __: Any) -> ListToolsResult:
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
