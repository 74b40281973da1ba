"""``/healthz`` says that this process runs; ``/readyz`` says whether both databases answer and their migrations are current.

``/readyz`` also says whether a schedule or sensor of the platform is stopped. That makes the service no less ready: it answers, only
nothing new comes in.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from optiinfra_api.access.services import Services
from optiinfra_api.graphql.errors import LOG
from optiinfra_assets.database.errors import MigrationError
from optiinfra_assets.domain.automation import automation_problem

SECONDS = 5
"""A part that takes longer counts as not answering; a result is reused for as long."""


async def alive(_: Request) -> Response:
    """Answer ``ok``."""
    return PlainTextResponse("ok\n")


class ReadinessEndpoint:
    """``/readyz``. All requests share one check: a hanging database then occupies one thread, not one for each request."""

    def __init__(self) -> None:
        self._running: asyncio.Task[tuple[dict[str, str], str]] | None = None
        self._until = 0.0

    async def __call__(self, request: Request) -> Response:
        """Answer 200 with ``ok`` for each part, or 503 with what is wrong; the answer names no host."""
        if self._running is None or (self._running.done() and time.monotonic() >= self._until):
            self._running = asyncio.create_task(self._find(request.app.state.services))
        parts, automation = await asyncio.shield(self._running)
        is_ready = all(said == "ok" for said in parts.values())
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        body = {"ready": is_ready, "parts": parts, "automation": automation}
        return JSONResponse(body, status, {"Cache-Control": "no-store"})

    async def _find(self, services: Services) -> tuple[dict[str, str], str]:
        clickhouse, postgresql, automation = await asyncio.gather(
            _part(services, "clickhouse", services.warehouse.migrate),
            _part(services, "postgresql", services.metadata.migrate),
            _automation(services),
        )
        self._until = time.monotonic() + SECONDS
        return dict((clickhouse, postgresql)), automation


async def _part(services: Services, name: str, migrate: Callable[..., list[str]]) -> tuple[str, str]:
    try:
        waiting = await asyncio.wait_for(services.run(migrate, dry_run=True), SECONDS)
    except MigrationError as error:
        LOG.warning("not ready: %s", error)
        return name, "its migrations are not those of this version"
    except Exception as error:  # noqa: BLE001 - any error means that the part does not answer
        LOG.warning("not ready: %s: %s", name, error or type(error).__name__)
        return name, "does not answer"
    return name, f"{len(waiting)} migrations have not run: `optiinfra migrate`" if waiting else "ok"


async def _automation(services: Services) -> str:
    try:
        found = await services.run(services.automations)
    except Exception as error:  # noqa: BLE001 - any error means that it is not known
        LOG.warning("schedules and sensors are not known: %s", error or type(error).__name__)
        return "unknown: Dagster does not answer"
    return automation_problem(found) or "ok"
