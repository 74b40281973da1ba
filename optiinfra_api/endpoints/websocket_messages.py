"""Checks the graphql-transport-ws messages that a client sends. Any other message closes the connection with code 4400 and a reason.

Strawberry's handler expects messages as in the protocol; on any other, the connection breaks without a reason. Data in: one decoded
message. Data out: the same message to that handler, or the reason for closing the connection.
"""

from __future__ import annotations

from typing import Any, Final

import orjson
from strawberry.asgi import ASGIWebSocketAdapter
from strawberry.subscriptions.protocols.graphql_transport_ws.handlers import BaseGraphQLTransportWSHandler
from strawberry.subscriptions.protocols.graphql_transport_ws.types import SubscribeMessage

from optiinfra_api.execution.operations import well_formed
from optiinfra_api.http.http_errors import HttpError

SUBSCRIPTIONS: Final = 20
"""Most subscriptions of one connection at a time."""

MAX_FRAME_BYTES: Final = 64 * 1024
"""Bytes of one message."""

_MAX_REASON: Final = 123
"""Bytes of a reason that fit into a close frame."""

_TYPES: Final = ("connection_init", "ping", "pong", "subscribe", "complete")


class WebSocketAdapter(ASGIWebSocketAdapter):
    """A connection that cuts the reason for closing to what fits into a frame."""

    async def close(self, code: int, reason: str) -> None:
        """Close the connection."""
        await super().close(code, reason.encode()[:_MAX_REASON].decode(errors="ignore"))


class SubscriptionHandler(BaseGraphQLTransportWSHandler[Any, None]):
    """Handles one connection: accepts only messages that follow the protocol, and limits its subscriptions."""

    async def handle_message(self, message: Any) -> None:
        """Handle one message, or close the connection if it is not accepted."""
        wrong = _wrong(message)
        if wrong is None:
            await super().handle_message(message)
        else:
            await self.handle_invalid_message(wrong)

    async def handle_subscribe(self, message: SubscribeMessage) -> None:
        """Begin a subscription, or refuse it with an error that names the limit."""
        if len(self.operations) < SUBSCRIPTIONS or message["id"] in self.operations:
            await super().handle_subscribe(message)
            return
        said = f"the connection has {SUBSCRIPTIONS} subscriptions under way; at most {SUBSCRIPTIONS} are accepted"
        error: Any = {"message": said, "extensions": {"code": "TOO_MANY_REQUESTS"}}
        await self.send_message({"id": message["id"], "type": "error", "payload": [error]})


def decoded(frame: str | bytes) -> Any:
    """Decode the JSON of a frame.

    Raises:
        json.JSONDecodeError: the frame is not JSON, or is nested too deeply to be read.
    """
    return orjson.loads(frame)


def _wrong(message: Any) -> str | None:
    """Why a message is not accepted, None if it is accepted."""
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
    return None
