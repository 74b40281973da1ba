"""The command mcp: the tools of the API's /mcp over standard input and output, for programs that start a server of their own.

It holds no tool and no data: each request is sent on to the API, which knows the token's customer, role and limits.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from mcp import Client

_REACHED_SECONDS = 10
_ANSWER_SECONDS = 60
"""A statement may take 30 s, and a document may ask for several."""


@click.command()
@click.option("--url", help="Address of /mcp; if left out, that of the platform that runs in OPTIINFRA_HOME.")
@click.option(
    "--token-file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="File with the token; if left out: OPTIINFRA_TOKEN.",
)
def mcp(url: str | None, token_file: Path | None) -> None:
    """Serve costs to a program that speaks the Model Context Protocol, over standard input and output.

    The program starts this command and ends it by closing its input. The platform has to run; what may be read is what
    the token may read. Programs that take an address need no command: see docs/mcp.md.

    \b
    Examples:
      OPTIINFRA_TOKEN=oi_... optiinfra mcp
      optiinfra mcp --url https://costs.example.com/mcp --token-file ~/.optiinfra-token
    """
    import signal
    import sys

    import anyio

    from optiinfra_assets.settings import Settings

    if sys.stdin is None or sys.stdout is None:
        raise click.ClickException("standard input or output: is closed: a program starts this command to talk with it")
    token = _token(token_file)
    address = url or f"{Settings().api_url}/mcp"
    _check(address, token)
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a thread waits for input, which no exception would end
    anyio.run(_serve, address, token)


def _token(file: Path | None) -> str:
    import os

    token = (file.read_text(errors="replace") if file else os.environ.get("OPTIINFRA_TOKEN", "")).strip()
    if not token:
        where = f"{file}: has no token" if file else "OPTIINFRA_TOKEN: is not set"
        raise click.ClickException(f"{where}; make one with: optiinfra token create --customer <customer>")
    if not token.isascii() or any(one.isspace() for one in token):
        raise click.ClickException(f"{file or 'OPTIINFRA_TOKEN'}: is no token: it begins with oi_ and has no spaces")
    return token


def _check(address: str, token: str) -> None:
    """Raise ClickException unless the API takes the token, so that a program's log says why this ended."""
    import httpx

    ping = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
    headers = {"Authorization": f"Bearer {token}", "Accept": "application/json, text/event-stream"}
    try:
        answer = httpx.post(address, json=ping, headers=headers, timeout=_REACHED_SECONDS)
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        said = f"{address}: does not answer ({error}): start the platform with `optiinfra up`, or give --url"
        raise click.ClickException(said) from None
    if answer.status_code == HTTPStatus.UNAUTHORIZED:
        raise click.ClickException(
            f"{address}: the token is not valid: it may be revoked or expired; "
            "make one with: optiinfra token create --customer <customer>"
        )
    if answer.status_code != HTTPStatus.OK:
        raise click.ClickException(f"{address}: answers {answer.status_code}: give the address of /mcp with --url")


@asynccontextmanager
async def _api(address: str, token: str) -> AsyncIterator[Client]:
    """A connection for one request: /mcp keeps no sessions, so that nothing is lost while the API starts anew."""
    import httpx2  # what the SDK takes
    from mcp import Client
    from mcp.client.streamable_http import streamable_http_client

    async with (
        httpx2.AsyncClient(headers={"Authorization": f"Bearer {token}"}, timeout=_ANSWER_SECONDS) as http,
        Client(streamable_http_client(address, http_client=http)) as client,
    ):
        yield client


async def _serve(address: str, token: str) -> None:
    from mcp import MCPError
    from mcp.server.lowlevel.server import Server
    from mcp.server.stdio import stdio_server
    from mcp_types import INTERNAL_ERROR, CallToolRequestParams, CallToolResult, ListToolsResult, TextContent

    said = f"{address} does not answer, or takes the token no more: see `optiinfra status`"

    async def list_tools(_: Any, __: Any) -> ListToolsResult:
        try:
            async with _api(address, token) as client:
                return await client.list_tools()
        except Exception:  # noqa: BLE001 - groups of errors of any kind come out of the connection
            raise MCPError(INTERNAL_ERROR, said) from None

    async def call_tool(_: Any, called: CallToolRequestParams) -> CallToolResult:
        try:
            async with _api(address, token) as client:
                return await client.call_tool(called.name, called.arguments)
        except Exception:  # noqa: BLE001
            return CallToolResult(content=[TextContent(type="text", text=said)], is_error=True)

    async with _api(address, token) as client:
        about, instructions = client.server_info, client.instructions
    version = about.version if about else ""
    server: Server[Any] = Server(
        "optiinfra",
        version=version,
        instructions=instructions,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )
    async with stdio_server() as (read, write):
        await server.run(read, write, server.create_initialization_options())
