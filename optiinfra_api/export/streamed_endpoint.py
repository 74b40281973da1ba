"""An ASGI endpoint that streams an answer of ClickHouse, as ``/export`` and ``/sql`` do.

An error before the first byte is answered as JSON with a status. An error after it breaks the connection: HTTP's chunked transfer then
has no end, which clients report, so that no client takes a short file for a complete one.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import AsyncIterator, Mapping
from http import HTTPStatus
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from optiinfra_api.access.services import Services
from optiinfra_api.graphql.errors import LOG, as_api_error, format_unexpected
from optiinfra_api.http.disconnect import ClientDisconnected, cancel_on_disconnect
from optiinfra_api.http.http_errors import HttpError
from optiinfra_api.http.request_log import CLIENT_GONE, current_request
from optiinfra_assets.domain.publications import ResolvedGenerations

STATUSES = {
    "INVALID_ARGUMENT": HTTPStatus.BAD_REQUEST,
    "FORBIDDEN": HTTPStatus.FORBIDDEN,
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "AS_OF_NOT_KEPT": HTTPStatus.GONE,
    "TOO_EXPENSIVE": HTTPStatus.UNPROCESSABLE_ENTITY,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""The status that goes with the code of an `ApiError`."""


class StreamedEndpoint:
    """One request, as an ASGI endpoint. A subclass answers it in `run`."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.request = Request(scope, receive)
        self._send = send
        self._begun = False

    def __await__(self) -> Any:
        return self._answer().__await__()

    async def _answer(self) -> None:
        record = current_request()
        try:
            await self.prepare()
            await cancel_on_disconnect(self.request.receive, self.run())
        except ClientDisconnected:
            record.status = CLIENT_GONE
            record.end_all("CLIENT_GONE")
        except HttpError as refused:
            record.codes.append(refused.code)
            await self._say(refused.body(), refused.status, refused.headers)
        except Exception as error:
            if self._begun:
                record.end_all("BROKEN")
                LOG.error("%s: an answer broke after its first byte: %s", record.correlation_id, error)
                raise  # past the first byte: the server breaks the connection
            body, status = format_unexpected(error)
            said = as_api_error(error)
            await self._say(body, STATUSES.get(said.code, status) if said else status)

    async def _say(self, body: dict[str, Any], status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        record = current_request()
        record.end_all(record.codes[-1])
        response = Response(orjson.dumps(body), status, headers, "application/json")
        await response(self.request.scope, self.request.receive, self._send)

    async def prepare(self) -> None:
        """Read the body of the request, if it may have one."""

    @abstractmethod
    async def run(self) -> None:
        """Answer the request, or raise an error that says why not."""

    @property
    def services(self) -> Services:
        """The services of this process."""
        services: Services = self.request.app.state.services
        return services

    async def send_nothing(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        """Answer without a body."""
        await self._begin(status, headers)
        await self._end()

    async def send_chunks(self, headers: Mapping[str, str], chunks: AsyncIterator[bytes]) -> None:
        """Answer with the body `chunks`; an error of the first one is still an answer of its own."""
        first = await anext(chunks, b"")
        await self._begin(HTTPStatus.OK, headers)
        await self._pass_on(first, chunks)

    async def _pass_on(self, first: bytes, chunks: AsyncIterator[bytes]) -> None:
        await self._send({"type": "http.response.body", "body": first, "more_body": True})
        async for chunk in chunks:
            await self._send({"type": "http.response.body", "body": chunk, "more_body": True})
        await self._end()

    async def _end(self) -> None:
        await self._send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _begin(self, status: HTTPStatus, headers: Mapping[str, str]) -> None:
        self._begun = True
        raw = [(name.lower().encode(), value.encode("latin-1")) for name, value in headers.items()]
        await self._send({"type": "http.response.start", "status": status, "headers": raw})


def freshness_headers(resolved: ResolvedGenerations) -> dict[str, str]:
    """How far the data of an answer reach, whether they are whole, when they were published, and whether they are simulated."""
    through, published = resolved.data_through, resolved.published_at
    return {
        "X-Data-Through": through.isoformat() if through else "",
        "X-Is-Complete": str(resolved.is_complete).lower(),
        "X-Published-At": published.isoformat() if published else "",
        "X-Is-Simulated": str(resolved.is_simulated).lower(),
    }
