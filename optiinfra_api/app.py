"""The ASGI application: /graphql (over a WebSocket for subscriptions), /healthz, and GraphiQL where it is allowed."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from strawberry.http.ides import get_graphql_ide_html

from optiinfra_api.endpoint import graphql, not_allowed
from optiinfra_api.services import Services
from optiinfra_api.sockets import Sockets
from optiinfra_assets.store.settings import Settings


def create_app(settings: Settings | None = None) -> Starlette:
    """The application over the databases of `settings` (default: those of the environment), which it opens when it starts.

    Starting raises StoreError if one of them does not answer.
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.services = await Services.open(settings)
        yield
        await app.state.services.close()

    async def at_graphql(request: Request) -> Response:
        if request.method == "POST":
            return await graphql(request)
        if settings.graphiql and _is_on_loopback(request):
            return HTMLResponse(get_graphql_ide_html())
        return not_allowed()

    routes = [
        WebSocketRoute("/graphql", Sockets()),
        Route("/graphql", at_graphql, methods=["GET", "POST"]),
        Route("/healthz", _alive),
    ]
    return Starlette(routes=routes, lifespan=lifespan)


async def _alive(_: Request) -> Response:
    return PlainTextResponse("ok\n")


def _is_on_loopback(request: Request) -> bool:
    """Whether the request came in on a loopback address of this machine."""
    host = (request.scope.get("server") or ("",))[0]
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
