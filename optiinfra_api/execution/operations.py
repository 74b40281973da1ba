"""Runs one GraphQL operation. Whoever needs data runs an operation here, so that limits, roles and the log are the same for all of them."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from graphql import GraphQLError, GraphQLSyntaxError
from strawberry.schema.exceptions import CannotGetOperationTypeError
from strawberry.types import ExecutionResult

from optiinfra_api.access.context import RequestContext
from optiinfra_api.access.services import Services
from optiinfra_api.graphql.errors import format_error
from optiinfra_api.graphql.request_limits import check_operation
from optiinfra_api.graphql.validation_rules import MAX_ERRORS, TOO_DEEP
from optiinfra_api.http.http_errors import bad_request
from optiinfra_api.http.redaction import redact_quotes
from optiinfra_api.http.request_log import RequestRecord, current_request
from optiinfra_api.schema import schema
from optiinfra_assets.metadata.tokens import Principal


async def execute(document: str, operation: dict[str, Any], context: RequestContext) -> ExecutionResult:
    """Run `document` with the variables and the name of a checked `operation`; see `body_of`.

    Raises:
        HttpError: 400, because the document has several operations and none is named, or the named one is not there.
    """
    try:
        result = await schema.execute(
            document,
            variable_values=operation.get("variables"),
            operation_name=operation.get("operationName"),
            context_value=context,
        )
    except CannotGetOperationTypeError as error:
        raise bad_request(error.as_http_error_reason()) from None
    if not isinstance(result, ExecutionResult):
        raise TypeError(f"an operation gave {type(result).__name__}")
    return result


def body_of(result: ExecutionResult, record: RequestRecord) -> tuple[dict[str, Any], HTTPStatus]:
    """The answer to an operation, with its errors as callers see them, and its status; errors are added to `record`."""
    if not result.errors:
        return {"data": result.data}, HTTPStatus.OK
    errors = [format_error(coded(error), record.correlation_id) for error in result.errors[:MAX_ERRORS]]
    for error in errors:
        code = error["extensions"]["code"]
        record.codes.append(code)
        if path := error.get("path"):
            record.outcomes[record.names[path[0]]] = code
    if result.data is None and all(error.path is None for error in result.errors):
        return {"errors": errors}, HTTPStatus.BAD_REQUEST
    return {"data": result.data, "errors": errors}, HTTPStatus.OK


async def answered(services: Services, operation: dict[str, Any], principal: Principal, address: str) -> dict[str, Any]:
    """Run an operation of this process's own, and return what a client of /graphql is answered.

    Args:
        operation: `query` and `variables`.
        principal: whom it is run for.
        address: of the client.

    Raises:
        HttpError: the operation is over a limit on operations, or too many requests of the token are under way.
    """
    checked, record = well_formed(operation), current_request()
    with services.requests.passing(principal):
        context = RequestContext(principal, services, record.correlation_id, address)
        result = await execute(checked["query"], checked, context)
    return redact_quotes(checked["query"], body_of(result, record)[0])


def coded(error: GraphQLError) -> GraphQLError:
    """The error of an operation with the code of its kind; of one that is nested too deeply, an error that says so."""
    if isinstance(error, GraphQLSyntaxError):
        error.extensions = {"code": "SYNTAX"}
    if isinstance(error.original_error, RecursionError) and error.path is None:
        return GraphQLError(TOO_DEEP)
    return error


def well_formed(operation: Any) -> dict[str, Any]:
    """Return the decoded body of a request after checking the types and sizes of its parts.

    Raises:
        HttpError: a part has another type, or is over a limit.
    """
    if isinstance(operation, list):
        raise bad_request("a list of operations is not accepted: send one request for each")
    if not isinstance(operation, dict) or not isinstance(operation.get("query"), str | None):
        raise bad_request('the body must be an object with a text "query"')
    for name, kind, what in (
        ("variables", dict, "an object"),
        ("operationName", str, "a text"),
        ("extensions", dict, "an object"),
    ):
        if not isinstance(operation.get(name), kind | None):
            raise bad_request(f'"{name}" must be {what} or left out')
    check_operation(operation)
    return operation
