"""GraphQL over HTTP: POST /graphql with a bearer token. Every answer is one JSON object on one line.

200: the operation ran; its errors, if any, are in the answer. 400: the request is malformed, over a limit on documents, or its variables
do not fit. 401: the token is missing or not valid; the answer says no more. 405, 413, 415: as HTTP defines them. 429: too many failures
to authenticate, or too many requests of one token at a time. 503: PostgreSQL does not answer.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from optiinfra_api.access.context import RequestContext
from optiinfra_api.access.request_authentication import address, authenticated
from optiinfra_api.access.services import Services
from optiinfra_api.execution.operations import body_of, execute, well_formed
from optiinfra_api.graphql.errors import format_unexpected
from optiinfra_api.graphql.validation_rules import NOT_ACCEPTED
from optiinfra_api.http.disconnect import ClientDisconnected, cancel_on_disconnect
from optiinfra_api.http.http_errors import HttpError, bad_request
from optiinfra_api.http.redaction import redact_quotes
from optiinfra_api.http.request_body import read_body
from optiinfra_api.http.request_log import CLIENT_GONE, RequestRecord, current_request


async def graphql(request: Request) -> Response:
    """Answer one request; this never raises."""
    record = current_request()
    headers = {"Cache-Control": "no-store"}
    try:
        body, status = await _answer(request, request.app.state.services, record)
    except HttpError as refused:
        body, status, headers = refused.body(), refused.status, headers | refused.headers
        record.codes.append(refused.code)
    except (ClientDisconnected, ClientDisconnect):
        record.end_all("CLIENT_GONE")
        return Response(status_code=CLIENT_GONE)
    except Exception as error:  # noqa: BLE001 - what is raised here must not reach the caller
        body, status = format_unexpected(error)
    return Response(orjson.dumps(body), status, headers, "application/json")


def not_allowed() -> Response:
    """The answer to other methods than POST."""
    refused = bad_request("send a POST with a JSON body", HTTPStatus.METHOD_NOT_ALLOWED)
    return Response(orjson.dumps(refused.body()), refused.status, {"Allow": "POST"}, "application/json")


async def _answer(request: Request, services: Services, record: RequestRecord) -> tuple[dict[str, Any], HTTPStatus]:
    principal = await authenticated(request, services)
    with services.requests.passing(principal):
        operation = await _operation(request)
        document = services.persisted.document(operation)
        if not document:
            raise bad_request('the body must be an object with a text "query"')
        context = RequestContext(principal, services, record.correlation_id, address(request))
        # A mutation that has begun is completed even if the client disconnects.
        work = execute(document, operation, context)
        result = await cancel_on_disconnect(request.receive, work, lambda: record.kind != "mutation")
    body, status = body_of(result, record)
    if status == HTTPStatus.OK:
        services.persisted.keep(operation)
    return redact_quotes(document, body), status


async def _operation(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise bad_request("send the header `Content-Type: application/json`", HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
    body = await read_body(request)
    if b"\\u0000" in body:
        raise bad_request(NOT_ACCEPTED)
    try:
        operation = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise bad_request(f"the body is not JSON: {error}") from None
    return well_formed(operation)
