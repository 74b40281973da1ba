"""``POST /links``: makes a link that reads one export or one statement for some days; see `access.signed_links`.

Data in: JSON with ``path``, such as ``/export/trends.csv?start=...``, and ``days``. Data out: JSON with the signed path and its end.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Self
from urllib.parse import parse_qsl, urlsplit

import orjson
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response

from optiinfra_api.access.context import RequestContext
from optiinfra_api.access.request_authentication import authenticated_by_token
from optiinfra_api.access.services import Services
from optiinfra_api.access.signed_links import DAYS, MOST_DAYS
from optiinfra_api.export.arguments import ExportQuery, named
from optiinfra_api.export.streamed_endpoint import STATUSES
from optiinfra_api.graphql.errors import InvalidArgument, as_api_error, format_unexpected
from optiinfra_api.http.http_errors import HttpError, bad_request
from optiinfra_api.http.request_log import current_request
from optiinfra_api.sql_access.arguments import SqlQuery, read_statement

_EXPORT = "/export/"


@dataclass(frozen=True, slots=True)
class _Wanted:
    path: str
    pairs: list[tuple[str, str]]
    days: int

    @classmethod
    def of(cls, values: Any) -> Self:
        is_object = isinstance(values, dict) and values.keys() <= {"path", "days"}
        if not is_object or not isinstance(values.get("path"), str):
            raise bad_request(
                'send JSON such as {"path": "/export/total.csv?start=2026-10-01&end=2026-11-01", "days": 7}'
            )
        days = values.get("days", DAYS)
        if type(days) is not int or not 0 < days <= MOST_DAYS:
            raise InvalidArgument(f"days: {days!r} is not accepted", f"Use 1 to {MOST_DAYS}.")
        try:
            parts = urlsplit(values["path"])
        except ValueError as error:
            raise InvalidArgument(f"path: {error}", "Use a path with its parameters.") from None
        if parts.scheme or parts.netloc or parts.fragment:
            raise InvalidArgument("path: a path with its parameters is needed", "Leave out the address before it.")
        return cls(parts.path, parse_qsl(parts.query, keep_blank_values=True), days)

    async def check(self, context: RequestContext) -> None:
        """Check that the principal may read this, and that every parameter is accepted."""
        given = QueryParams(self.pairs)
        if self.path == "/sql":
            query = SqlQuery.of_url(given, "")
            await (await context.data_of(query.customer_id)).check_sql(query.statement)
        elif self.path.startswith(_EXPORT) and (export := named(self.path.removeprefix(_EXPORT), given)):
            await context.data_of(ExportQuery.of(export[0], given).customer_id)
        else:
            raise InvalidArgument(
                f"path: {self.path!r} is not accepted", "Use /sql, or an export such as /export/trends.csv."
            )


class LinkEndpoint:
    """Makes links for whoever may read."""

    async def __call__(self, request: Request) -> Response:
        """Answer a link, or why there is none."""
        record = current_request()
        try:
            body, status, headers = await self._made(request), HTTPStatus.OK, {"Cache-Control": "no-store"}
        except HttpError as refused:
            record.codes.append(refused.code)
            body, status, headers = refused.body(), refused.status, refused.headers
        except Exception as error:  # noqa: BLE001 - masked, and logged
            body, status = format_unexpected(error)
            said = as_api_error(error)
            status, headers = STATUSES.get(said.code, status) if said else status, {}
        record.end_all(record.codes[-1] if record.codes else "ok")
        return Response(orjson.dumps(body), status, headers, "application/json")

    async def _made(self, request: Request) -> dict[str, Any]:
        services: Services = request.app.state.services
        record = current_request()
        record.outcomes = {"link": "ok"}
        # Of a token alone: a link outlasts a session.
        principal = await authenticated_by_token(request, services)
        try:
            values = orjson.loads(await read_statement(request))
        except ValueError:
            raise bad_request("the body is not JSON") from None
        wanted = _Wanted.of(values)
        with services.requests.passing(principal):
            await wanted.check(RequestContext(principal, services, record.correlation_id))
            expires_at = datetime.now(UTC).replace(microsecond=0) + timedelta(days=wanted.days)
            path = services.links.signed(wanted.path, wanted.pairs, principal.token_id, expires_at)
        return {"path": path, "expiresAt": expires_at.isoformat().replace("+00:00", "Z")}
