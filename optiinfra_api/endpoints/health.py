"""``/healthz`` says that this process runs; ``/readyz`` says whether both databases answer and their migrations are current.

To those who may see the whole platform, ``/readyz`` also says which part is not ready and why, and whether a schedule or sensor of the
platform is stopped. That makes the service no less ready: it answers, only nothing new comes in.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from http import HTTPStatus
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from optiinfra_api.access.platform_access import admit_to_platform
from optiinfra_api.access.services import Services
from optiinfra_api.graphql.errors import LOG
from optiinfra_api.http.http_errors import HttpError
from optiinfra_api.http.kept_answer import KeptAnswer
from optiinfra_assets.database.errors import MetadataUnavailable, MigrationError
from optiinfra_assets.domain.automation import automation_problem

SECONDS = 5
"""A part that takes longer counts as not answering; a result is reused for as long."""


async def alive(_: Request) -> Response:
    """Answer ``ok``."""
    return PlainTextResponse("ok\n")


class ReadinessEndpoint:
    """``/readyz``. All requests share one check: a hanging database then occupies one thread, not one for each request."""

    def __init__(self) -> None:
        self._parts: KeptAnswer[dict[str, str]] | None = None

    async def __call__(self, request: Request) -> Response:
        """Answer 200, or 503 if a part is not ready; with a token for the platform also what is wrong. The answer names no host."""
        services: Services = request.app.state.services
        self._parts = self._parts or KeptAnswer(lambda: _find(services), SECONDS)
        try:
            is_admitted = await _is_admitted(request, services)
        except HttpError as refused:
            return JSONResponse(refused.body(), refused.status, refused.headers)
        parts = await self._parts()
        is_ready = all(said == "ok" for said in parts.values())
        body: dict[str, Any] = {"ready": is_ready}
        if is_admitted:
            body |= {"parts": parts, "automation": await _automation(services)}
        status = HTTPStatus.OK if is_ready else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse(body, status, {"Cache-Control": "no-store"})


async def _is_admitted(request: Request, services: Services) -> bool:
    """Whether a request may see the detail; not without a token, nor with one that nobody can look up now.

    Raises:
        HttpError: its token is not accepted.
    """
    if "authorization" not in request.headers:
        return False
    try:
        await admit_to_platform(request, services)
    except MetadataUnavailable:
        return False
    return True


async def _find(services: Services) -> dict[str, str]:
    return dict(
        await asyncio.gather(
            _part(services, "clickhouse", services.warehouse.migrate),
            _part(services, "postgresql", services.metadata.migrate),
        )
    )


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
        found = await services.automations()
    except Exception as error:  # noqa: BLE001 - any error means that it is not known
        LOG.warning("schedules and sensors are not known: %s", error or type(error).__name__)
        return "unknown: Dagster does not answer"
    return automation_problem(found) or "ok"
