"""Middleware before an application that shows data of all customers: it admits their administrators, and visitors who may only read.

Who comes in by a session (a cookie), by a token of ours, or by the token of this installation, both in the header ``Authorization``. The
application reads from the ASGI scope whether a request may change anything (`MAY_CHANGE`), and must take it that it may not if nothing is
said.
"""

from __future__ import annotations

import asyncio
import hmac
from http import HTTPStatus
from typing import Final

from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from optiinfra_api.access.authentication import Authenticator, NotAuthenticated, TooManyAttempts
from optiinfra_api.access.request_authentication import address
from optiinfra_api.access.sessions import Sessions
from optiinfra_api.http.http_errors import HttpError, bad_request
from optiinfra_api.web.origins import OriginGuard, WebOrigins
from optiinfra_api.web.pages import page
from optiinfra_api.web.sign_in import PATHS, SignIn, described, way_in
from optiinfra_assets.database.errors import MetadataUnavailable
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.metadata.tokens import Principal
from optiinfra_assets.metadata.web_sessions import WebSession
from optiinfra_assets.settings import Settings

MAY_CHANGE: Final = "optiinfra.may_change"
"""Key of an ASGI scope: whether the request may change anything."""

RECHECK_SECONDS: Final = 1.0
"""How often an open WebSocket's session is looked up again: it ends when the session does."""

_INSTALLATION: Final = WebSession(Principal("", "installation", None, "admin"), is_read_only=False)


def behind_sign_in(app: ASGIApp, settings: Settings, metadata: Metadata) -> ASGIApp:
    """Return `app` behind the sign-in, for the addresses of `settings`."""
    return OriginGuard(SignInMiddleware(app, settings, metadata), WebOrigins.of(settings))


class SignInMiddleware:
    """ASGI middleware that lets in who may come in."""

    def __init__(self, app: ASGIApp, settings: Settings, metadata: Metadata) -> None:
        self._app = app
        self._installation_token = settings.dagster_token
        self._authenticator = Authenticator(metadata)
        self._sessions = Sessions(metadata, self._authenticator)
        self._sign_in = SignIn(lambda _: self._sessions, is_for_dagster=True).router

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._connect(scope, receive, send)
        else:
            try:
                await (await self._answerer(Request(scope)))(scope, receive, send)
            except MetadataUnavailable:
                await page("unavailable", "Not now", HTTPStatus.SERVICE_UNAVAILABLE)(scope, receive, send)

    async def _answerer(self, request: Request) -> ASGIApp:
        """What answers a request: the application, the sign-in, or a refusal."""
        path = request.scope["path"]
        if path == "/healthz":
            return PlainTextResponse("ok\n")
        if path in PATHS or path.startswith("/sign-in/"):
            return self._sign_in
        try:
            return self._admitted(request, await self._visitor(request))
        except HttpError as refused:
            return JSONResponse(refused.body(), refused.status, refused.headers)

    def _admitted(self, request: Request, visitor: WebSession | None) -> ASGIApp:
        is_page = "text/html" in request.headers.get("accept", "") and request.method == "GET"
        if visitor is None:
            if is_page:
                return way_in(request)
            raise HttpError(HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED", "sign in first, or send a token")
        if not visitor.principal.is_platform_admin:
            if is_page:
                return page("no_entry", "Not for this token", HTTPStatus.FORBIDDEN, who=described(visitor))
            raise HttpError(HTTPStatus.FORBIDDEN, "FORBIDDEN", "this is for administrators of all customers")
        media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if request.method == "POST" and media_type != "application/json":
            text = "send a POST with the header `Content-Type: application/json`"
            raise bad_request(text, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
        request.scope[MAY_CHANGE] = not visitor.is_read_only
        return self._app

    async def _visitor(self, connection: HTTPConnection) -> WebSession | None:
        """Who sent a request, None if it does not say.

        Raises:
            HttpError: the header ``Authorization`` is not accepted.
            MetadataUnavailable: PostgreSQL does not answer.
        """
        header = connection.headers.get("authorization")
        if header is None:
            return await self._sessions.of(connection)
        if self._installation_token and hmac.compare_digest(
            header.encode(), f"Bearer {self._installation_token}".encode()
        ):
            return _INSTALLATION
        try:
            principal = await self._authenticator.admit(header, address(connection), asyncio.to_thread)
        except NotAuthenticated:
            raise HttpError(HTTPStatus.UNAUTHORIZED, "UNAUTHENTICATED", "the token is not accepted") from None
        except TooManyAttempts as failures:
            wait = {"Retry-After": str(failures.seconds)}
            raise HttpError(HTTPStatus.TOO_MANY_REQUESTS, "TOO_MANY_FAILURES", str(failures), wait) from None
        return WebSession(principal, is_read_only=False)

    async def _connect(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve a WebSocket for as long as its visitor may be here."""
        visitor = await self._guest(scope)
        if visitor is None:
            await send({"type": "websocket.close", "code": 4401})
            return
        serving = asyncio.ensure_future(self._app({**scope, MAY_CHANGE: not visitor.is_read_only}, receive, send))
        try:
            while not (await asyncio.wait((serving,), timeout=RECHECK_SECONDS))[0]:
                if await self._guest(scope) is None:
                    serving.cancel()
                    await asyncio.wait((serving,))
                    await send({"type": "websocket.close", "code": 4401})
                    return
            serving.result()
        finally:
            serving.cancel()

    async def _guest(self, scope: Scope) -> WebSession | None:
        """Who opened a WebSocket; None if he may not be here, or this cannot be looked up."""
        try:
            visitor = await self._visitor(HTTPConnection(scope))
        except (HttpError, MetadataUnavailable):
            return None
        return visitor if visitor and visitor.principal.is_platform_admin else None
