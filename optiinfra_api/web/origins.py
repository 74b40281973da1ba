"""Which hosts and origins a web interface of ours is reached by, and the guard that refuses every other one.

A page of another site can make a browser send requests here, with our cookie if it is of the same machine on another port (cookies know no
ports), or under a name of its own that it lets resolve to this machine (DNS rebinding). So the guard compares ``Host`` with the names that
are configured, and on every request that may change something ``Origin`` and ``Sec-Fetch-Site`` with the address it was sent to.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from optiinfra_api.access.loopback import is_loopback
from optiinfra_api.access.request_authentication import ORIGIN
from optiinfra_api.access.sessions import session_secret
from optiinfra_assets.settings import Settings

_HOST: Final = re.compile(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?")
_SECURITY_HEADERS: Final = {
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True, slots=True)
class WebOrigins:
    """The addresses that browsers may use.

    Attributes:
        names: host names that are accepted over http with any port, as a tunnel has another one.
        public: the origin of each ``Host`` behind a proxy.
    """

    names: frozenset[str]
    public: Mapping[str, str]

    @classmethod
    def of(cls, settings: Settings) -> WebOrigins:
        """Those of `settings`: the address that the servers listen on, and ``OPTIINFRA_WEB_ORIGINS``. Loopback is always accepted."""
        host = settings.bind_host.lower()
        public = {urlsplit(origin).netloc: origin for origin in settings.web_origins.split(",") if origin}
        return cls(frozenset({"localhost", f"[{host}]" if ":" in host else host}), public)

    def origin(self, host: str) -> str | None:
        """The origin of a page that a browser reads from `host`, the value of ``Host``; None if it is not accepted."""
        host = host.lower()
        found = _HOST.fullmatch(host)
        if host in self.public or found is None:
            return self.public.get(host)
        return f"http://{host}" if found[1] in self.names or is_loopback(found[1].strip("[]")) else None


class OriginGuard:
    """ASGI middleware that refuses requests by foreign names and from foreign pages, and adds the security headers of every answer."""

    def __init__(self, app: ASGIApp, origins: WebOrigins) -> None:
        self._app = app
        self._origins = origins

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        origin = self._origins.origin(hosts[0]) if len(hosts) == 1 else None
        answer = _foreign_name() if origin is None else _refusal(scope, headers, origin)
        if answer is None:
            scope = {**scope, ORIGIN: origin}
        elif scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 4403})
            return
        await (answer or self._app)(scope, receive, _secured(send))


def _foreign_name() -> Response:
    text = (
        "This name is not accepted. Open the address that `optiinfra status` shows; if this is reached by another name, "
        "let who runs the platform add it to OPTIINFRA_WEB_ORIGINS.\n"
    )
    return PlainTextResponse(text, HTTPStatus.MISDIRECTED_REQUEST)


def _refusal(scope: Scope, headers: Headers, origin: str) -> Response | None:
    method = scope.get("method", "GET")
    if method not in ("GET", "HEAD", "POST"):
        return PlainTextResponse("Use GET or POST.\n", HTTPStatus.METHOD_NOT_ALLOWED, {"Allow": "GET, HEAD, POST"})
    changes = method == "POST" or scope["type"] == "websocket"
    if _is_foreign(headers, origin) if changes else _is_embedded(headers):
        return PlainTextResponse("Requests from pages of other origins are refused.\n", HTTPStatus.FORBIDDEN)
    return None


def _is_foreign(headers: Headers, origin: str) -> bool:
    """Whether a page of another origin sent a request that may change something, or a browser that does not say which page did."""
    sent, site = headers.get("origin"), headers.get("sec-fetch-site")
    if sent is None and site is None:
        return "cookie" in headers
    return sent not in (None, origin) or site not in (None, "same-origin", "none")


def _is_embedded(headers: Headers) -> bool:
    """Whether a page of another origin reads something, other than by a link that its reader followed."""
    is_link = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") in (None, "document")
    return headers.get("sec-fetch-site") in ("cross-site", "same-site") and not is_link


def _secured(send: Send) -> Send:
    async def secured(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers.update(_SECURITY_HEADERS)
            headers.setdefault("Cache-Control", "private, no-cache")
        await send(message)

    return secured


class SessionGuard:
    """ASGI middleware that puts the guard before pages, and before whatever is asked with the cookie of a session.

    Requests to `endpoints` without such a cookie, or with a token, pass as they are: no page can make a browser send a token, and programs
    reach them by names of their own.
    """

    def __init__(self, app: ASGIApp, origins: WebOrigins, endpoints: frozenset[str]) -> None:
        self._app = app
        self._guarded = OriginGuard(app, origins)
        self._endpoints = endpoints

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        is_guarded = scope["type"] == "http" and (not self._is_endpoint(scope["path"]) or _is_by_session(scope))
        await (self._guarded if is_guarded else self._app)(scope, receive, send)

    def _is_endpoint(self, path: str) -> bool:
        return path.lstrip("/").partition("/")[0] in self._endpoints


def _is_by_session(scope: Scope) -> bool:
    connection = HTTPConnection(scope)
    return "authorization" not in connection.headers and session_secret(connection) is not None
