"""``GET /export/<what>.<csv|parquet>``: the rows of a cost query as a file, with the same tokens and the same `access.context`.

Data in: parameters of `export.arguments`. Data out: ClickHouse's own CSV or Parquet, streamed in constant memory. Answers have a weak
ETag of the query and of the generations that answer it; with If-None-Match, nothing is read while these are the same.

An error before the first byte is answered as JSON with a status. An error after it breaks the connection: HTTP's chunked transfer then
has no end, which clients report, so that no client takes a short file for a complete one.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from optiinfra_api.access.context import CustomerData, RequestContext
from optiinfra_api.access.request_authentication import authenticated
from optiinfra_api.access.services import Services
from optiinfra_api.export.arguments import ACCEPTED, ExportQuery
from optiinfra_api.export.plan import plan
from optiinfra_api.export.spreadsheet import marked
from optiinfra_api.graphql.errors import LOG, as_api_error, format_unexpected
from optiinfra_api.http.disconnect import ClientDisconnected, cancel_on_disconnect
from optiinfra_api.http.http_errors import HttpError
from optiinfra_api.http.request_log import CLIENT_GONE, current_request
from optiinfra_api.reading.scan_budget import ScanBudget
from optiinfra_api.reading.stream import ExportFormat
from optiinfra_assets.database import sql_files
from optiinfra_assets.domain.publications import ResolvedGenerations

_MEDIA_TYPES = {
    ExportFormat.CSV: "text/csv; charset=utf-8; header=present",
    ExportFormat.PARQUET: "application/vnd.apache.parquet",
}
_STATUSES = {
    "INVALID_ARGUMENT": HTTPStatus.BAD_REQUEST,
    "FORBIDDEN": HTTPStatus.FORBIDDEN,
    "NOT_FOUND": HTTPStatus.NOT_FOUND,
    "AS_OF_NOT_KEPT": HTTPStatus.GONE,
    "TOO_EXPENSIVE": HTTPStatus.UNPROCESSABLE_ENTITY,
    "UNAVAILABLE": HTTPStatus.SERVICE_UNAVAILABLE,
}


class ExportEndpoint:
    """One export, as an ASGI endpoint."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._request = Request(scope, receive)
        self._send = send
        self._begun = False

    def __await__(self) -> Any:
        return self._answer().__await__()

    async def _answer(self) -> None:
        record = current_request()
        try:
            await cancel_on_disconnect(self._request.receive, self._export())
        except ClientDisconnected:
            record.status = CLIENT_GONE
            record.end_all("CLIENT_GONE")
        except HttpError as refused:
            record.codes.append(refused.code)
            await self._say(refused.body(), refused.status, refused.headers)
        except Exception as error:
            if self._begun:
                record.end_all("BROKEN")
                LOG.error("%s: an export broke after its first byte: %s", record.correlation_id, error)
                raise  # past the first byte: the server breaks the connection
            body, status = format_unexpected(error)
            said = as_api_error(error)
            await self._say(body, _STATUSES.get(said.code, status) if said else status)

    async def _say(self, body: dict[str, Any], status: HTTPStatus, headers: Mapping[str, str] | None = None) -> None:
        record = current_request()
        record.end_all(record.codes[-1])
        response = Response(orjson.dumps(body), status, headers, "application/json")
        await response(self._request.scope, self._request.receive, self._send)

    async def _export(self) -> None:
        services: Services = self._request.app.state.services
        principal = await authenticated(self._request, services)
        what, form = _named(self._request.path_params["name"])
        record = current_request()
        record.outcomes = {f"export/{what}.{form.value}": "ok"}
        record.rows = None
        asked = ExportQuery.of(what, self._request.query_params)
        context = RequestContext(principal, services, record.correlation_id)
        context.budget = ScanBudget(services.settings.api_export_max_rows, "OPTIINFRA_API_EXPORT_MAX_ROWS")
        with services.requests.passing(principal), services.exports.passing(principal):
            data = await context.data_of(asked.customer_id)
            resolved = await data.resolve(asked.question)
            await self._write(data, asked, form, resolved)

    async def _write(
        self, data: CustomerData, asked: ExportQuery, form: ExportFormat, resolved: ResolvedGenerations
    ) -> None:
        statement, values = plan(asked, resolved)
        headers = _headers(data.customer_id, asked, form, resolved, statement)
        if _is_known(self._request.headers.get("if-none-match"), headers["ETag"]):
            await self._begin(HTTPStatus.NOT_MODIFIED, headers)
            await self._end()
            return
        headers["Content-Type"] = _MEDIA_TYPES[form]
        if self._request.method == "HEAD":
            await self._begin(HTTPStatus.OK, headers)
            await self._end()
            return
        async with data.export(statement, form, asked.question, resolved, **values) as chunks:
            shown = marked(chunks) if _is_for_people(asked, form) else chunks
            first = await anext(shown, b"")
            await self._begin(HTTPStatus.OK, headers)
            await self._pass_on(first, shown)

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


def _named(name: str) -> tuple[str, ExportFormat]:
    what, _, ending = name.rpartition(".")
    if what not in ACCEPTED or ending not in (one.value for one in ExportFormat):
        raise HttpError(
            HTTPStatus.NOT_FOUND,
            "NOT_FOUND",
            f"there is no such export: use {', '.join(sorted(ACCEPTED))}, with .csv or .parquet",
        )
    return what, ExportFormat(ending)


def _is_for_people(asked: ExportQuery, form: ExportFormat) -> bool:
    """Whether a spreadsheet may open the file: a FOCUS file is for programs, and its text is what FOCUS says."""
    return form is ExportFormat.CSV and asked.focus is None


def _headers(
    customer_id: str, asked: ExportQuery, form: ExportFormat, resolved: ResolvedGenerations, statement: str
) -> dict[str, str]:
    """The headers of an answer: its ETag, its file name, and its freshness, as in every answer about costs."""
    end = f"-{asked.period.start}-{asked.period.end}" if asked.period else ""
    used = set(resolved.generations)
    through, published = resolved.data_through, resolved.published_at
    is_simulated = any(one.is_simulated and one.generation in used for one in resolved.publications)
    return {
        "ETag": _etag(customer_id, asked, form, resolved, statement),
        "Cache-Control": "private, no-cache",
        "Content-Disposition": f'attachment; filename="{asked.what}-{customer_id}{end}.{form.value}"',
        "X-Data-Through": through.isoformat() if through else "",
        "X-Is-Complete": str(resolved.is_complete).lower(),
        "X-Published-At": published.isoformat() if published else "",
        "X-Is-Simulated": str(is_simulated).lower(),
    }


def _etag(
    customer_id: str, asked: ExportQuery, form: ExportFormat, resolved: ResolvedGenerations, statement: str
) -> str:
    """A weak ETag of the query and of the generations that answer it. `asOf` counts only through the generations that it leads to."""
    question = replace(asked, question=replace(asked.question, as_of=None), group_by=frozenset())
    text = sql_files.read("clickhouse", "exports", f"{statement}.sql")
    shown = (form, _is_for_people(asked, form))
    parts = (customer_id, question, sorted(asked.group_by), shown, resolved.generations, text)
    return f'W/"{hashlib.blake2b(repr(parts).encode(), digest_size=16).hexdigest()}"'


def _is_known(if_none_match: str | None, etag: str) -> bool:
    given = {one.strip() for one in (if_none_match or "").split(",")}
    return "*" in given or etag in given or etag.removeprefix("W/") in given
