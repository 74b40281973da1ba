"""Checks the health of every component of the platform, in parallel, with a time-out of a few seconds each."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from optiinfra_assets.settings import Settings

AUTOMATION = "automation"
"""Name of the part that stands for the schedules and sensors."""

_SECONDS = 5.0
_PATIENCE = 12.0
"""Seconds in all: a connection, and a few statements, of a server that is busy."""
_DAGSTER = """{
  instance { daemonHealth { allDaemonStatuses { daemonType required healthy lastHeartbeatErrors { message } } } }
  workspaceOrError { ... on Workspace { locationEntries { name loadStatus
    locationOrLoadError { __typename ... on PythonError { message } } } } }
}"""


@dataclass(frozen=True, slots=True)
class ComponentHealth:
    """The health of one component: whether it answers, and its answer or the reason for none, in one line."""

    name: str
    is_up: bool
    detail: str


def check_components(settings: Settings) -> list[ComponentHealth]:
    """Check every component at the URLs of `settings`; one that takes longer than the time-out counts as down."""
    questions: dict[tuple[str, ...], Callable[[Settings], list[ComponentHealth]]] = {
        ("postgres",): partial(_asked, "postgres", _postgres),
        ("clickhouse",): partial(_asked, "clickhouse", _clickhouse),
        ("dagster-webserver", "dagster-daemon", "code-location"): _dagster,
        ("api",): partial(_asked, "api", _api),
    }
    answers = [_begun(names, partial(question, settings)) for names, question in questions.items()]
    until = time.monotonic() + _PATIENCE
    return [part for answer in answers for part in answer(until)]


def _begun(
    names: tuple[str, ...], question: Callable[[], list[ComponentHealth]]
) -> Callable[[float], list[ComponentHealth]]:
    """Ask in a thread; return a function that waits for the answer until an instant of the monotonic clock.

    A daemon thread: a server that accepts connections and never answers must not keep the command from ending.
    """
    found: list[ComponentHealth] = []
    asking = threading.Thread(target=lambda: found.extend(question()), daemon=True)
    asking.start()

    def answer(until: float) -> list[ComponentHealth]:
        asking.join(max(0.0, until - time.monotonic()))
        late = f"no answer within {_PATIENCE:g} s"
        return list(found) or [ComponentHealth(name, False, late) for name in names]

    return answer


def _asked(name: str, question: Callable[[Settings], str], settings: Settings) -> list[ComponentHealth]:
    from optiinfra_assets.cli.errors import error_line

    try:
        return [ComponentHealth(name, True, question(settings))]
    except Exception as error:  # noqa: BLE001 - any error means that the component is down
        return [ComponentHealth(name, False, error_line(error))]


def _postgres(settings: Settings) -> str:
    from optiinfra_assets.metadata import Metadata

    with closing(Metadata.connect(settings)) as metadata:
        pending = metadata.migrate(dry_run=True)
    return "needs `optiinfra migrate`" if pending else "answers, tables up to date"


def _clickhouse(settings: Settings) -> str:
    from optiinfra_assets.warehouse.warehouse import Warehouse

    with closing(Warehouse.connect(settings, connect_timeout=_SECONDS)) as warehouse:
        version, pending = warehouse.client.server_version, warehouse.migrate(dry_run=True)
    return f"version {version}, {'needs `optiinfra migrate`' if pending else 'tables up to date'}"


def _api(settings: Settings) -> str:
    import httpx

    url = settings.api_url
    httpx.get(f"{url}/healthz", timeout=_SECONDS).raise_for_status()
    return f"{url}/graphql"


def _dagster(settings: Settings) -> list[ComponentHealth]:
    import httpx

    try:
        body, headers = {"query": _DAGSTER}, settings.dagster_headers
        answer = httpx.post(f"{settings.dagster_url}/graphql", json=body, headers=headers, timeout=_SECONDS)
        data = answer.raise_for_status().json()["data"]
        return [
            ComponentHealth("dagster-webserver", True, settings.dagster_url),
            _daemon(data),
            _code_location(data),
            _automation(settings),
        ]
    except httpx.HTTPError as error:
        down = f"{settings.dagster_url}: {error}"
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        down = f"{settings.dagster_url}: answers, but not as Dagster does ({type(error).__name__})"
    return [
        ComponentHealth("dagster-webserver", False, down),
        ComponentHealth("dagster-daemon", False, "unknown without the webserver"),
        ComponentHealth("code-location", False, "unknown without the webserver"),
    ]


def _automation(settings: Settings) -> ComponentHealth:
    from optiinfra_assets.cli.errors import error_line
    from optiinfra_assets.database.errors import DagsterUnavailable
    from optiinfra_assets.domain.automation import automation_problem
    from optiinfra_assets.ingestion.dagster_client import read_automations

    try:
        found = read_automations(settings, _SECONDS)
    except DagsterUnavailable as error:
        return ComponentHealth(AUTOMATION, False, error_line(error))
    problem = automation_problem(found)
    return ComponentHealth(AUTOMATION, problem is None, problem or f"{len(found)} schedules and sensors run")


def _daemon(data: dict[str, Any]) -> ComponentHealth:
    required = [one for one in data["instance"]["daemonHealth"]["allDaemonStatuses"] if one["required"]]
    ill = [one["daemonType"].lower() for one in required if not one["healthy"]]
    return ComponentHealth(
        "dagster-daemon", not ill, f"no heartbeat of {', '.join(ill)}" if ill else "all heartbeats fresh"
    )


def _code_location(data: dict[str, Any]) -> ComponentHealth:
    for entry in data["workspaceOrError"].get("locationEntries") or []:
        loaded = entry["locationOrLoadError"] or {}
        if loaded.get("__typename") == "RepositoryLocation":
            return ComponentHealth("code-location", True, f"{entry['name']} loaded")
        message = " ".join((loaded.get("message") or "still loading").split())
        return ComponentHealth("code-location", False, message[:200])
    return ComponentHealth("code-location", False, "none in the workspace")
