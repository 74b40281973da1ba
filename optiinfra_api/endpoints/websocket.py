"""Subscriptions over WebSocket at /graphql, in the protocol graphql-transport-ws. Queries and mutations go over HTTP, with its limits.

A connection sends its token in its first message, because browsers cannot send a header with a WebSocket; a header is accepted too.
Errors are formatted as over HTTP.
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any, Final

from graphql import GraphQLError
from starlette.websockets import WebSocket
from strawberry.asgi import GraphQL
from strawberry.exceptions import ConnectionRejectionError
from strawberry.schema.exceptions import CannotGetOperationTypeError, InvalidOperationTypeError
from strawberry.subscriptions import GRAPHQL_TRANSPORT_WS_PROTOCOL
from strawberry.types.execution import PreExecutionError
from strawberry.types.graphql import OperationType
from strawberry.types.unset import UnsetType

from optiinfra_api.access.authentication import NotAuthenticated, TooManyAttempts
from optiinfra_api.access.context import RequestContext
from optiinfra_api.endpoints.websocket_messages import (
    SUBSCRIPTIONS,
    SubscriptionHandler,
    WebSocketAdapter,
    decoded,
)
from optiinfra_api.execution.operations import coded
from optiinfra_api.graphql.errors import Forbidden, format_error
from optiinfra_api.graphql.validation_rules import MAX_ERRORS
from optiinfra_api.http.http_errors import HttpError
from optiinfra_api.http.redaction import redact_quotes
from optiinfra_api.reading.scan_budget import AnswerBudget
from optiinfra_api.schema import schema
from optiinfra_assets.metadata.tokens import Principal

_NOBODY: Final = Principal(token_id="", name="", customer_id="", role="viewer")
"""The principal of a connection that is not authenticated yet; the protocol allows it no operation, and no customer has this id."""


@dataclass(slots=True)
class WebSocketContext(RequestContext):
    """One connection.

    Attributes:
        connection_params: payload of its first message.
        header: the ``Authorization`` value that it sent.
    """

    connection_params: dict[str, Any] = field(default_factory=dict)
    header: str | None = None

    async def check_token(self) -> None:
        """As `RequestContext.check_token`, but with a check: a token may be revoked or expire while its connection lasts."""
        try:
            await self.services.authenticator.admit(self.header, self.address, self.services.run)
        except (NotAuthenticated, TooManyAttempts):
            raise Forbidden("the token is not accepted any more", "Connect again with a valid token.") from None


class _Presented(GraphQLError):
    """An error that is already formatted for the client."""

    def __init__(self, shown: dict[str, Any]) -> None:
        super().__init__(shown["message"])
        self._shown = shown

    @property
    def formatted(self) -> Any:
        return self._shown


class _Subscribing:
    """The schema for the protocol's handler: it accepts subscriptions only, and formats their errors."""

    async def stream(self, query: str, *, context_value: WebSocketContext, **how: Any) -> AsyncIterator[Any]:
        source = await schema.stream(
            query,
            context_value=context_value,
            allowed_operation_types={OperationType.SUBSCRIPTION},
            **how,
        )
        return _within_limit(_presented(source, query, context_value.correlation_id), context_value)


async def _within_limit(source: AsyncGenerator[Any, None], context: WebSocketContext) -> AsyncIterator[Any]:
    """Yield what `source` yields, or one error if the token has too many subscriptions, on whichever connections."""
    async with aclosing(source):
        try:
            with context.services.subscriptions.passing(context.principal):
                async for result in source:
                    yield result
        except HttpError as refused:
            (shown,) = refused.body()["errors"]
            yield PreExecutionError(data=None, errors=[_Presented(shown)])


async def _presented(source: Any, query: str, correlation_id: str) -> AsyncGenerator[Any, None]:
    try:
        async for result in source:
            if result.errors:
                shown = [format_error(_said(error), correlation_id) for error in result.errors[:MAX_ERRORS]]
                result.errors = [_Presented(error) for error in redact_quotes(query, {"errors": shown})["errors"]]
            yield result
    finally:
        await source.aclose()


def _said(error: GraphQLError) -> GraphQLError:
    if isinstance(error.original_error, InvalidOperationTypeError):
        return GraphQLError("only subscriptions go over a WebSocket: send queries and mutations by POST")
    if isinstance(error.original_error, CannotGetOperationTypeError):
        return GraphQLError(error.original_error.as_http_error_reason())
    return coded(error)


class WebSocketEndpoint(GraphQL[WebSocketContext, None]):
    """The ASGI application for the WebSocket connections of /graphql."""

    graphql_transport_ws_handler_class = SubscriptionHandler
    websocket_adapter_class = WebSocketAdapter

    def __init__(self) -> None:
        super().__init__(
            _Subscribing(),  # type: ignore[arg-type] # the handler of this protocol uses only `stream`
            graphql_ide=None,
            subscription_protocols=(GRAPHQL_TRANSPORT_WS_PROTOCOL,),
            connection_init_wait_timeout=timedelta(seconds=10),
            max_subscriptions_per_connection=SUBSCRIPTIONS,
        )

    def decode_json(self, data: str | bytes) -> object:
        """Decode a frame that the client sent."""
        return decoded(data)

    async def get_context(self, request: Any, response: Any) -> WebSocketContext:
        """Make the context of a connection; it has no principal until `on_ws_connect`."""
        socket: WebSocket = request
        header = socket.headers.get("authorization")
        address = socket.client.host if socket.client else "unknown"
        context = WebSocketContext(_NOBODY, socket.app.state.services, uuid.uuid4().hex, address, header=header)
        context.answers = AnswerBudget(None)
        return context

    async def on_ws_connect(self, context: WebSocketContext) -> UnsetType | dict[str, object] | None:
        """Authenticate the connection, or refuse it with code 4403; it is acknowledged without a payload."""
        said = {name.lower(): value for name, value in context.connection_params.items()}
        header = said.get("authorization", context.header)
        context.header = header if isinstance(header, str) else None
        try:
            context.principal = await context.services.authenticator.admit(
                context.header, context.address, context.services.run
            )
        except (NotAuthenticated, TooManyAttempts):
            raise ConnectionRejectionError from None
        return None
