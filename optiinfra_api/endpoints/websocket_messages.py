"""What a client may send over a WebSocket: messages of graphql-transport-ws. Anything else closes the connection with 4400 and says why.

Strawberry's handler takes what comes for what the protocol says, and where it is not, the connection breaks without a word. Flow in: one
decoded message. Flow out: the same to that handler, or the reason of a closed connection.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import SubscribeMessage

from optiinfra_api.endpoints.graphql import well_formed
from optiinfra_api.graphql.validation_rules import NOT_ACCEPTED, has_null_character
from optiinfra_api.http.http_errors import HttpError

SUBSCRIPTIONS: Final = 20
"""Of one connection at a time."""

_MAX_REASON: Final = 123
"""Bytes that a closing frame has room for."""

_TYPES: Final = ("connection_init", "ping", "pong", "subscribe", "complete")


class WebSocketAdapter(ASGIWebSocketAdapter):
    """A connection that closes with as much of a reason as a frame holds."""

    async def close(self, code: int, reason: str) -> None:
        """Close it."""
        await super().close(code, reason.encode()[:_MAX_REASON].decode(errors="ignore"))


class SubscriptionHandler(BaseGraphQLTransportWSHandler[Any, None]):
    """One connection: the messages that are as the protocol says, and the limit on its subscriptions."""

    async def handle_message(self, message: Any) -> None:
        """Act on one message, or close the connection."""
        wrong = _wrong(message)
        if wrong is None:
            await super().handle_message(message)
        else:
            await self.handle_invalid_message(wrong)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Begin a subscription, or refuse it with the limit."""
        if len(self.operations) < SUBSCRIPTIONS or message["id"] in self.operations:
            await super().handle_subscribe(message)
            return
        said = f"the connection has {SUBSCRIPTIONS} subscriptions under way; at most {SUBSCRIPTIONS} are accepted"
        error: Any = {"message": said, "extensions": {"code": "TOO_MANY_REQUESTS"}}
        await self.send_message({"id": message["id"], "type": "error", "payload": [error]})


def decoded(frame: str | bytes) -> Any:
    """The JSON of a frame.

    Raises:
        json.JSONDecodeError: it is not JSON, or nested too deeply to be read.
    """
    return orjson.loads(frame)


def _wrong(message: Any) -> str | None:
    """Why a message is not accepted, None if it is."""
    if not isinstance(message, dict):
        return "a message must be a JSON object"
    kind = message.get("type")
    if kind not in _TYPES:
        return f'"type" must be one of {", ".join(_TYPES)}'
    if kind in ("subscribe", "complete") and not isinstance(message.get("id"), str):
        return '"id" must be a text'
    return _wrong_request(message.get("payload")) if kind == "subscribe" else None


def _wrong_request(payload: Any) -> str | None:
    try:
        operation = well_formed(payload)
    except HttpError as refused:
        return str(refused)
    if not operation.get("query"):
        return 'the payload must be an object with a text "query"'
    return NOT_ACCEPTED if has_null_character(operation.get("variables")) else None
