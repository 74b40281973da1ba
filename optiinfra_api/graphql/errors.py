"""The errors that the API answers: expected errors have a code and a remedy, all others are masked.

::

    ApiError
    ├── InvalidArgument      a value is not accepted: the message names it and what is accepted
    ├── NotFound             the thing does not exist, or the caller may not know of it: the caller cannot tell which
    ├── Forbidden            the token's role does not allow the operation
    ├── CursorExpired        the series of pages cannot be continued: the caller begins again
    ├── AsOfNotKept          the state at the instant is not kept any more: the message names the instants that are
    ├── TooExpensive         the operation is over a limit on time, memory or size: the message names the limit
    └── Unavailable          a part of the platform does not answer: the caller tries again
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
    """Base of the errors whose message is shown to the caller unchanged.

    Attributes:
        code: a stable code for programs.
        remedy: one sentence that says what to do.
    """

    code: ClassVar[str]

    def __init__(self, message: str, remedy: str) -> None:
        super().__init__(message)
        self.remedy = remedy


class InvalidArgument(ApiError):
    """A value is not accepted."""

    code = "INVALID_ARGUMENT"


class NotFound(ApiError):
    """The thing does not exist, as far as the caller may know."""

    code = "NOT_FOUND"


class Forbidden(ApiError):
    """The token's role does not allow the operation."""

    code = "FORBIDDEN"


class CursorExpired(ApiError):
    """The generations that the earlier pages were read from cannot be read any more."""

    code = "CURSOR_EXPIRED"


class AsOfNotKept(ApiError):
    """The state at the asked instant is not kept any more."""

    code = "AS_OF_NOT_KEPT"


class TooExpensive(ApiError):
    """The operation is over a limit on time, memory or size."""

    code = "TOO_EXPENSIVE"


class Unavailable(ApiError):
    """A part of the platform does not answer."""

    code = "UNAVAILABLE"


# Codes of https://github.com/ClickHouse/ClickHouse/blob/master/src/Common/ErrorCodes.cpp: too many statements, no memory left.
_FULL = {202, 241}


def as_api_error(error: BaseException) -> ApiError | None:
    """The `ApiError` that the caller is told, None if `error` is unexpected and must be masked."""
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
    """`error` as JSON for the caller; an unexpected error is logged under `correlation_id` and masked."""
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
    """The body and HTTP status for an error raised outside of resolvers, formatted as by `format_error`; adds its code to the record."""
    record = current_request()
    said = format_error(GraphQLError("", original_error=error), record.correlation_id)
    record.codes.append(said["extensions"]["code"])
    is_unavailable = isinstance(as_api_error(error), Unavailable)
    status = HTTPStatus.SERVICE_UNAVAILABLE if is_unavailable else HTTPStatus.INTERNAL_SERVER_ERROR
    return {"errors": [said]}, status
