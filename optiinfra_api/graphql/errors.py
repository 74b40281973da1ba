"""What the API says when it cannot answer: expected errors with a code and a remedy, all others masked.

::

    ApiError
    ├── InvalidArgument      a value that cannot be accepted: names it and what is
    ├── NotFound             no such thing, or nothing the caller may know of: the two are told apart by nobody
    ├── Forbidden            the token's role does not allow it
    ├── CursorExpired        the page series cannot be continued: begin again
    ├── AsOfNotKept          the instant cannot be read any more: names those that can
    ├── TooExpensive         over a limit on time, memory or size: names it
    └── Unavailable          a part of the platform does not answer: try again
"""

from __future__ import annotations

import logging
from http import HTTPStatus
from typing import Any, ClassVar

from clickhouse_connect.driver.exceptions import Error
from graphql import GraphQLError

from optiinfra_api.graphql.scalars import BadValue
from optiinfra_api.http.request_log import current_request
from optiinfra_assets.database.errors import AsOfNotRetained, MetadataUnavailable, WarehouseUnavailable

LOG = logging.getLogger("optiinfra_api")


class ApiError(Exception):
    """Base of what is said to the caller as it is.

    Attributes:
        code: stable, for programs.
        remedy: what to do, one sentence.
    """

    code: ClassVar[str]

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class InvalidArgument(ApiError):
    """A value that cannot be accepted."""

    code = "INVALID_ARGUMENT"


class NotFound(ApiError):
    """No such thing, as far as the caller may know."""

    code = "NOT_FOUND"


class Forbidden(ApiError):
    """The role of the token does not allow it."""

    code = "FORBIDDEN"


class CursorExpired(ApiError):
    """What the earlier pages were read from cannot be read any more."""

    code = "CURSOR_EXPIRED"


class AsOfNotKept(ApiError):
    """The state at that instant is not kept any more."""

    code = "AS_OF_NOT_KEPT"


class TooExpensive(ApiError):
    """Over a limit."""

    code = "TOO_EXPENSIVE"


class Unavailable(ApiError):
    """A part of the platform does not answer."""

    code = "UNAVAILABLE"


# Codes of https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp: too many statements, no memory left.
_FULL = {202, 241}


def as_api_error(error: BaseException) -> ApiError | None:
    """`error` as what the caller is told, None if it is nobody's business but ours."""
    if isinstance(error, ApiError):
        return error
    if isinstance(error, AsOfNotRetained):
        return AsOfNotKept(str(error), "Ask for one of these instants, or leave asOf out.")
    if isinstance(error, WarehouseUnavailable | MetadataUnavailable):
        return Unavailable("a database does not answer", "Try again in a few seconds.")
    if isinstance(error, Error) and error.code in _FULL:
        return Unavailable("the database has no room for this statement now", "Try again in a minute.")
    return None


def format_error(error: GraphQLError, correlation_id: str) -> dict[str, Any]:
    """`error` as it goes to the caller; one that is not expected is logged under `correlation_id` and masked."""
    original = error.original_error
    if original is None or isinstance(original, GraphQLError | BadValue):
        return {**error.formatted, "extensions": {"code": "BAD_REQUEST", **(error.extensions or {})}}
    said = as_api_error(original)
    if said is not None:
        if isinstance(said, Unavailable):
            LOG.warning("%s: %s", correlation_id, original)
        return _formatted(error, str(said), {"code": said.code, "remedy": said.remedy})
    LOG.error("%s: unexpected error at %s", correlation_id, error.path, exc_info=original)
    return _formatted(
        error,
        f"Something went wrong on our side; it is logged as {correlation_id}.",
        {
            "code": "INTERNAL",
            "correlationId": correlation_id,
            "remedy": "Try again; if it persists, report this id.",
        },
    )


def _formatted(error: GraphQLError, message: str, extensions: dict[str, Any]) -> dict[str, Any]:
    return {**error.formatted, "message": message, "extensions": extensions}


def format_unexpected(error: Exception) -> tuple[dict[str, Any], HTTPStatus]:
    """What is raised outside of resolvers, said as `format_error` says what is raised inside."""
    record = current_request()
    said = format_error(GraphQLError("", original_error=error), record.correlation_id)
    record.codes.append(said["extensions"]["code"])
    is_unavailable = isinstance(as_api_error(error), Unavailable)
    status = HTTPStatus.SERVICE_UNAVAILABLE if is_unavailable else HTTPStatus.INTERNAL_SERVER_ERROR
    return {"errors": [said]}, status
