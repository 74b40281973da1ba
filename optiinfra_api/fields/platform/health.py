"""health: whether each part of the platform answers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Coroutine
from importlib.metadata import version
from typing import Any

import httpx
import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.access.services import Services
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_assets.settings import Settings

_DAGSTER_SECONDS = 3


@strawberry.type(description="One part of the platform.")
class Part:
    name: str = strawberry.field(description="clickhouse, postgresql or dagster.")
    is_ok: bool = strawberry.field(description="It answers.")
    milliseconds: int = strawberry.field(description="How long the answer took.")
    problem: str | None = strawberry.field(
        description="Why it does not, for administrators of all customers; null for others."
    )


@strawberry.type(description="Whether the platform works.")
class Health:
    is_ok: bool = strawberry.field(description="Every part answers.")
    version: str = strawberry.field(description="Version of this service.")
    parts: list[Part] = strawberry.field(description="The parts.")


@strawberry.type
class HealthQuery:
    @resolved("Whether each part of the platform answers.")
    async def health(self, info: Info) -> Health | None:
        services = info.context.services
        shows_problems = info.context.principal.customer_id is None
        parts = await asyncio.gather(*(_part(name, check, shows_problems) for name, check in _checks(services).items()))
        return Health(is_ok=all(part.is_ok for part in parts), version=version("optiinfra"), parts=list(parts))


def _checks(services: Services) -> dict[str, Coroutine[Any, Any, object]]:
    return {
        "clickhouse": services.engine.rows("publication_count", {"customer_id": ""}),
        "postgresql": services.run(services.metadata.collections.history, first=1),
        "dagster": _ask_dagster(services.settings),
    }


async def _ask_dagster(settings: Settings) -> None:
    async with httpx.AsyncClient(timeout=_DAGSTER_SECONDS, headers=settings.dagster_headers) as client:
        (await client.get(f"{settings.dagster_url}/server_info")).raise_for_status()


async def _part(name: str, check: Awaitable[object], shows_problems: bool) -> Part:
    begin = time.monotonic()
    problem = None
    try:
        await check
    except Exception as error:  # noqa: BLE001 - any error means that the part does not answer
        problem = str(error).splitlines()[0] if str(error) else type(error).__name__
    milliseconds = round((time.monotonic() - begin) * 1000)
    return Part(
        name=name,
        is_ok=problem is None,
        milliseconds=milliseconds,
        problem=problem if shows_problems else None,
    )
