"""The ASGI application: the web pages, /graphql (subscriptions over a WebSocket, GraphiQL where allowed), /mcp, /export, /sql, /links,
/healthz, /readyz and /metrics."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES, GZipMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send

from optiinfra_api.access.loopback import is_loopback
from optiinfra_api.endpoints.graphql import graphql, not_allowed
from optiinfra_api.endpoints.health import ReadinessEndpoint, alive
from optiinfra_api.endpoints.platform_metrics import MetricsEndpoint
from optiinfra_api.endpoints.websocket import WebSocketEndpoint
from optiinfra_api.export.endpoint import ExportEndpoint
from optiinfra_api.http import logs
from optiinfra_api.http.http_metrics import Metrics
from optiinfra_api.http.request_log import CORRELATION_HEADER, RequestLogMiddleware
from optiinfra_api.http.security_headers import with_security_headers
from optiinfra_api.mcp import endpoint as mcp
from optiinfra_api.server.loop_watch import watched
from optiinfra_api.services import ApiServices
from optiinfra_api.sql_access.endpoint import SqlEndpoint
from optiinfra_api.sql_access.links import LinkEndpoint
from optiinfra_api.web import site
from optiinfra_api.web.origins import SessionGuard, WebOrigins
from optiinfra_assets.database.errors import MetadataUnavailable
from optiinfra_assets.settings import Settings

GZIP_FROM_BYTES = 1400
"""Smaller answers fit into one packet and are sent uncompressed."""

_FASTEST = 1
_PARQUET = "application/vnd.apache.parquet"  # compressed already
_TOLD = (
    "ETag",
    "Content-Disposition",
    "Retry-After",
    "X-Data-Through",
    "X-Is-Complete",
    "X-Published-At",
    "X-Is-Simulated",
)


class _Application(Starlette):
    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        # Around everything, so that answers to errors in middleware have the headers too.
        await super().__call__(scope, receive, with_security_headers(send))


def create_app(
    settings: Settings | None = None, *, is_watched: bool = False, clock: site.Clock = site.utc_now
) -> Starlette:
    """Make the application for the databases of `settings` (default: from the environment). It connects to them when it starts.

    With `is_watched`, the process ends if its event loop hangs; see `loop_watch`. `clock` tells which days the pages show,
    which the tools of /mcp mean by a name such as ``last-month``, and from when costs are forecast.

    Starting raises StoreError if a database does not answer.
    """
    settings = settings or Settings()

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        app.state.services = await ApiServices.open(settings, clock)
        async with tools.running():
            with watched(asyncio.get_running_loop()) if is_watched else nullcontext():
                yield
        await app.state.services.close()

    async def at_graphql(request: Request) -> Response:
        if request.method == "POST":
            return await graphql(request)
        if _shows_graphiql(settings, request):
            return site.show_graphiql()
        return not_allowed()

    metrics, tools = Metrics(), mcp.McpEndpoint(clock)
    pages = site.routes(clock)
    routes = [
        Route("/graphql", at_graphql, methods=["GET", "POST"]),
        # With a slash at the end as well: clients drop the token when they are led to another address.
        Route(mcp.PATH, tools, methods=["POST"]),
        Route(f"{mcp.PATH}/", tools, methods=["POST"]),
        Route(mcp.METADATA_PATH, mcp.metadata, methods=["GET"]),
        Route("/export/{name}", ExportEndpoint, methods=["GET"]),
        Route("/sql", SqlEndpoint, methods=["GET", "POST"]),
        Route("/links", LinkEndpoint().__call__, methods=["POST"]),
        Route("/healthz", alive),
        Route("/readyz", ReadinessEndpoint().__call__),
        Route("/metrics", MetricsEndpoint(metrics).__call__),
    ]
    return _Application(
        routes=[WebSocketRoute("/graphql", WebSocketEndpoint()), *routes, *pages],
        lifespan=lifespan,
        middleware=_middleware(settings, metrics, _first_parts(routes), _first_parts(pages)),
        exception_handlers={HTTPStatus.NOT_FOUND: site.not_found, MetadataUnavailable: site.unavailable},
    )


def serve_app() -> Starlette:
    """Set up the log and make the application; uvicorn calls this in each worker process."""
    logs.configure()
    app = create_app(is_watched=True)
    # Else garbage collection looks through all that is loaded, 227,000 objects, for 100 ms in the middle of somebody's answer.
    gc.collect()
    gc.freeze()
    return app


def _first_parts(routes: list[Route]) -> frozenset[str]:
    return frozenset(route.path.split("/")[1] for route in routes)


def _middleware(
    settings: Settings, metrics: Metrics, endpoints: frozenset[str], pages: frozenset[str]
) -> list[Middleware]:
    found = [Middleware(RequestLogMiddleware, metrics=metrics, endpoints=endpoints | pages)]
    origins = [one.strip() for one in settings.api_cors_origins.split(",") if one.strip()]
    if origins:
        found.append(
            Middleware(
                CORSMiddleware,
                allow_origins=origins,
                allow_methods=["GET", "POST"],
                allow_headers=[
                    "Authorization",
                    "Content-Type",
                    "If-None-Match",
                    CORRELATION_HEADER,
                    "X-Request-Id",
                ],
                expose_headers=[CORRELATION_HEADER, *_TOLD],
                max_age=600,
            )
        )
    found.append(
        Middleware(
            GZipMiddleware,
            minimum_size=GZIP_FROM_BYTES,
            compresslevel=_FASTEST,
            exclude_content_types=(*DEFAULT_EXCLUDED_CONTENT_TYPES, _PARQUET),
        )
    )
    found.append(Middleware(SessionGuard, origins=WebOrigins.of(settings), endpoints=endpoints))
    return found


def _shows_graphiql(settings: Settings, request: Request) -> bool:
    is_browser = "text/html" in request.headers.get("accept", "")
    return is_browser and (is_loopback(settings.bind_host) if settings.graphiql is None else settings.graphiql)
