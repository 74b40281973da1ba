"""Headers of every answer that keep a browser from taking data for a page, a script or a style of another site.

Source: https://cheatsheetseries.owasp.org/cheatsheets/REST_Security_Cheat_Sheet.html#security-headers
"""

from __future__ import annotations

from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.types import Message, Send

SECURITY_HEADERS: Final = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
_OF_DATA: Final = {"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'"}
_OF_PAGES: Final = {"Content-Security-Policy": "frame-ancestors 'none'"}
"""GraphiQL's page loads its scripts and styles."""

_WITH_HEADERS: Final = ("http.response.start", "websocket.http.response.start", "websocket.accept")


def with_security_headers(send: Send) -> Send:
    """Wrap the ASGI callable `send` so that each answer has these headers; `server.connections` adds them to what it refuses itself."""

    async def sending(message: Message) -> None:
        if message["type"] in _WITH_HEADERS:
            message.setdefault("headers", [])
            _add(message)
        await send(message)

    return sending


def _add(message: Message) -> None:
    headers = MutableHeaders(scope=message)
    is_page = headers.get("content-type", "").startswith("text/html")
    for name, value in (SECURITY_HEADERS | (_OF_PAGES if is_page else _OF_DATA)).items():
        headers.setdefault(name, value)
