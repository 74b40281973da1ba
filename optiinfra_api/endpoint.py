"""GraphQL over HTTP: POST /graphql with a bearer token. Every answer is one JSON object on one line.

200: the operation ran; its errors, if any, are in the answer. 400: it is malformed, over a limit on documents, or its variables do
not fit. 401: no token that is good, which is all that is said. 429: too many of those. 405, 413, 415: as HTTP defines them.
503: PostgreSQL does not answer.
"""

from __future__ import annotations

import uuid
from http import HTTPStatus
from typing import Any

import orjson
from graphql import GraphQLError, GraphQLSyntaxError
from starlette.requests import Request
from starlette.responses import Response
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult

from optiinfra_api.authentication import NotAuthenticated, TooManyFailures
from optiinfra_api.context import Context
from optiinfra_api.errors import Unavailable, expected, present
from optiinfra_api.quoting import unquoted
from optiinfra_api.schema import schema
from optiinfra_api.services import Services
from optiinfra_assets.store.tokens import Principal

MAX_BODY_BYTES = 256 * 1024
MAX_ERRORS = 10


class _Refused(Exception):
    """The request is answered without running it."""

    def __init__(self, status: HTTPStatus, code: str, message: str, **headers: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.headers = {name.replace("_", "-"): value for name, value in headers.items()}


async def graphql(request: Request) -> Response:
    """Answer one request; never raises."""
    correlation_id = uuid.uuid4().hex
    headers = {"X-Correlation-Id": correlation_id, "Cache-Control": "no-store"}
    try:
        body, status = await _answer(request, request.app.state.services, correlation_id)
    except _Refused as refused:
        body, status = _error(refused.code, str(refused)), refused.status
        headers |= refused.headers
    except Exception as error:  # noqa: BLE001 - what is raised here must not reach the caller
        body, status = _unexpected(error, correlation_id)
    return Response(orjson.dumps(body), status, headers, "application/json")


def not_allowed() -> Response:
    """The answer to other methods than POST."""
    body = _error("BAD_REQUEST", "send a POST with a JSON body")
    return Response(orjson.dumps(body), HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "POST"}, "application/json")


async def _answer(
    request: Request, services: Services, correlation_id: str
) -> tuple[dict[str, Any], HTTPStatus]:
    principal = await _authenticated(request, services)
    operation = await _operation(request)
    try:
        result = await schema.execute(
            operation["query"],
            variable_values=operation.get("variables"),
            operation_name=operation.get("operationName"),
            context_value=Context(principal, services, correlation_id, _address(request)),
        )
    except CannotGetOperationTypeError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", error.as_http_error_reason()) from None
    if not isinstance(result, ExecutionResult):
        raise TypeError(f"an operation gave {type(result).__name__}")
    body, status = _body(result, correlation_id)
    return unquoted(operation["query"], body), status


def _body(result: ExecutionResult, correlation_id: str) -> tuple[dict[str, Any], HTTPStatus]:
    if not result.errors:
        return {"data": result.data}, HTTPStatus.OK
    errors = [present(_coded(error), correlation_id) for error in result.errors[:MAX_ERRORS]]
    if result.data is None and all(error.path is None for error in result.errors):
        return {"errors": errors}, HTTPStatus.BAD_REQUEST
    return {"data": result.data, "errors": errors}, HTTPStatus.OK


def _coded(error: GraphQLError) -> GraphQLError:
    if isinstance(error, GraphQLSyntaxError):
        error.extensions = {"code": "SYNTAX"}
    if isinstance(error.original_error, RecursionError) and error.path is None:
        return GraphQLError("the operation is nested too deeply to be read")
    return error


def _address(request: Request) -> str:
    """Where a request comes from, as far as uvicorn knows: behind a proxy see its ``FORWARDED_ALLOW_IPS``."""
    return request.client.host if request.client else "unknown"


async def _authenticated(request: Request, services: Services) -> Principal:
    header = request.headers.get("authorization")
    try:
        return await services.authenticator.admit(header, _address(request), services.run)
    except NotAuthenticated:
        raise _Refused(
            HTTPStatus.UNAUTHORIZED,
            "UNAUTHENTICATED",
            "a valid token is needed: send the header `Authorization: Bearer oi_...`",
            WWW_Authenticate="Bearer",
        ) from None
    except TooManyFailures as failures:
        raise _Refused(
            HTTPStatus.TOO_MANY_REQUESTS,
            "TOO_MANY_FAILURES",
            "too many failed attempts to authenticate: wait as long as the header `Retry-After` says",
            Retry_After=str(failures.seconds),
        ) from None


async def _operation(request: Request) -> dict[str, Any]:
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise _Refused(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "BAD_REQUEST",
            "send the header `Content-Type: application/json`",
        )
    body = await _read(request)
    if b"\\u0000" in body:
        # PostgreSQL stores no such character, so nothing that is asked for can have one.
        raise _Refused(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", "the character U+0000 is not accepted")
    try:
        operation = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise _Refused(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", f"the body is not JSON: {error}") from None
    if (
        not isinstance(operation, dict)
        or not isinstance(operation.get("query"), str)
        or not operation["query"]
    ):
        raise _Refused(
            HTTPStatus.BAD_REQUEST, "BAD_REQUEST", 'the body must be an object with a text "query"'
        )
    for name, kind, what in (("variables", dict, "an object"), ("operationName", str, "a text")):
        if not isinstance(operation.get(name), kind | None):
            raise _Refused(HTTPStatus.BAD_REQUEST, "BAD_REQUEST", f'"{name}" must be {what} or left out')
    return operation


async def _read(request: Request) -> bytes:
    """The body, as long as it is not too long; what is too long is not kept."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise _Refused(
                HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
                "BAD_REQUEST",
                f"the body is longer than {MAX_BODY_BYTES} bytes",
            )
    return bytes(body)


def _error(code: str, message: str) -> dict[str, Any]:
    return {"errors": [{"message": message, "extensions": {"code": code}}]}


def _unexpected(error: Exception, correlation_id: str) -> tuple[dict[str, Any], HTTPStatus]:
    """What is raised outside of resolvers, said as `present` says what is raised inside."""
    body = {"errors": [present(GraphQLError("", original_error=error), correlation_id)]}
    is_unavailable = isinstance(expected(error), Unavailable)
    return body, HTTPStatus.SERVICE_UNAVAILABLE if is_unavailable else HTTPStatus.INTERNAL_SERVER_ERROR
