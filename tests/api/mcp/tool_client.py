"""The official SDK's client of the tools, for tests that wait for each answer."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

import anyio
import httpx2
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_types import CallToolResult

_T = TypeVar("_T")


@dataclass(frozen=True)
class Tools:
    """The tools at an address, with a token; `mode` is how the client agrees on a version of the protocol."""

    url: str
    token: str | None
    customer_id: str = ""
    mode: str = "auto"

    def of(self, token: str | None) -> Tools:
        """The same with another token."""
        return replace(self, token=token)

    @asynccontextmanager
    async def connected(self) -> AsyncIterator[Client]:
        """A client of the official SDK."""
        headers = {"Authorization": f"Bearer {self.token}"} if self.token else {}
        async with (
            httpx2.AsyncClient(headers=headers, timeout=60) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=self.mode) as client,
        ):
            yield client

    def run(self, use: Callable[[Client], Awaitable[_T]]) -> _T:
        """What `use` returns of a connected client."""

        async def connect() -> _T:
            async with self.connected() as client:
                return await use(client)

        return anyio.run(connect)

    def result(self, name: str, /, **arguments: Any) -> CallToolResult:
        """What a tool answers."""
        return self.run(lambda client: client.call_tool(name, arguments))

    def call(self, name: str, /, **arguments: Any) -> dict[str, Any]:
        """The content of a tool's answer, which is no error."""
        found = self.result(name, **arguments)
        assert not found.is_error, text_of(found)
        content: dict[str, Any] = json.loads(text_of(found))
        return content

    def refused(self, name: str, /, **arguments: Any) -> str:
        """What a tool says that refuses to answer."""
        found = self.result(name, **arguments)
        assert found.is_error, text_of(found)
        return text_of(found)


def text_of(result: CallToolResult) -> str:
    """The text of an answer, which has nothing else."""
    (content,) = result.content
    assert content.type == "text"
    return content.text
