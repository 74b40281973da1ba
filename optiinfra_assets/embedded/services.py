"""The processes of the installation: what runs, in which order, and how each shows that it is ready.

::

    postgres ───┬─► migrations ──┬─► api
    clickhouse ─┘                ├─► dagster-webserver
    dagster-storage ─────────────┼─► dagster-daemon
    code-location ───────────────┘

dagster-storage and code-location need no database to import Dagster (the longest wait), so they import it while the databases start.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import psutil  # type: ignore[import-untyped]
from pydantic import SecretStr
from pydantic_core import to_json

from optiinfra_assets.embedded import home_folder
from optiinfra_assets.embedded.dagster import home as dagster_home
from optiinfra_assets.embedded.postgres import data_folder
from optiinfra_assets.settings import LOOPBACK, METRICS_TOKEN_FILE, Settings

Probe = Callable[[int], Awaitable[bool]]
"""Checks whether the service is ready; takes the pid of its process."""


@dataclass(frozen=True, slots=True)
class ManagedService:
    """One process to keep running, or one step to run to its end.

    Attributes:
        name: shown to people, and the stem of its log file.
        command: arguments after the Python interpreter.
        ready: how to check that it serves; None for a step, which is ready once it has ended with 0.
        after: services that must be ready before this one starts.
        layer: services of the highest layer stop first, all of one layer together.
        environment: variables that differ from those of the other services; None removes a variable.
        patience: seconds between SIGTERM and SIGKILL.
    """

    name: str
    command: tuple[str, ...]
    ready: Probe | None = None
    after: tuple[str, ...] = ()
    layer: int = 0
    environment: dict[str, str | None] = field(default_factory=dict)
    patience: float = 20


@dataclass(frozen=True, slots=True)
class ServicePort:
    """A port that one of our services listens on, and the setting that changes it."""

    field_name: str
    host: str
    number: int

    @property
    def setting(self) -> str:
        """The environment variable."""
        return f"OPTIINFRA_{self.field_name.upper()}"


def ports(settings: Settings) -> list[ServicePort]:
    """Every port that the services will listen on. Only the GraphQL service may leave loopback."""
    fields = ["dagster_port", *(["clickhouse_port"] if settings.clickhouse_url is None else [])]
    inner = [ServicePort(name, LOOPBACK, getattr(settings, name)) for name in fields]
    return [*inner, ServicePort("api_port", settings.bind_host, settings.api_port)]


def resolved(settings: Settings) -> Settings:
    """Return `settings` with the address of every server that will run, a token for Dagster's, and the file of the one for scrapers.

    Raises:
        PreflightError: the folder of the embedded PostgreSQL cannot be used.
    """
    home = settings.home.expanduser().resolve()
    found: dict[str, object] = {
        "home": home,
        "dagster_url": f"http://{LOOPBACK}:{settings.dagster_port}",
        "dagster_token": settings.dagster_token or secrets.token_urlsafe(32),
    }
    if settings.metrics_token is None and settings.metrics_token_file is None:
        found["metrics_token_file"] = home / METRICS_TOKEN_FILE
    if settings.clickhouse_url is None:
        found["clickhouse_url"] = _clickhouse_url(settings.clickhouse_port)
    if settings.postgres_url is None:
        data_folder.is_initialised(home / "postgres")
        found["postgres_url"] = data_folder.url(home / "postgres")
    return settings.model_copy(update=found)


def _clickhouse_url(port: int) -> str:
    """Make the URL with a new password, unless one is set: a web page in a browser of this machine can send requests to loopback too."""
    user = os.environ.get("OPTIINFRA_CLICKHOUSE_USER") or "default"
    password = os.environ.get("OPTIINFRA_CLICKHOUSE_PASSWORD") or secrets.token_urlsafe(24)
    return f"http://{quote(user, safe='')}:{quote(password, safe='')}@{LOOPBACK}:{port}/default"


def environment(settings: Settings) -> dict[str, str]:
    """The environment of every process that we start: our own, with every value of `settings` (resolved)."""
    values = {name: value for name, value in settings if value is not None}
    ours = {f"OPTIINFRA_{name.upper()}": _as_variable(value) for name, value in values.items()}
    others = {
        "DAGSTER_HOME": str(dagster_home.folder(settings)),
        "DAGSTER_DISABLE_TELEMETRY": "1",
        # Events that `orchestration.bulk_events` records together are stored together.
        "DAGSTER_EVENT_BATCH_SIZE": "1000",
        "PYTHONUNBUFFERED": "1",
        # Private, and emptied at each start: what a killed process leaves in the machine's own stays there.
        "TMPDIR": str(home_folder.temporary(settings.home)),
        "TZ": "UTC",
    }
    return {**os.environ, **ours, **others}


def _as_variable(value: object) -> str:
    """Write the value of a setting as `Settings` reads it from the environment."""
    if isinstance(value, SecretStr):
        return value.get_secret_value()
    return to_json(value).decode() if isinstance(value, list) else str(value)


def plan(asked: Settings, settings: Settings, workspace: Path) -> list[ManagedService]:
    """Return the services of one installation in start order; stopping them in reverse is safe.

    Args:
        asked: settings as given; a database whose URL they contain is not started.
        settings: the same, `resolved`.
        workspace: Dagster's workspace file.
    """
    engines = []
    if asked.postgres_url is None:
        engines.append(_postgres(settings.home / "postgres"))
    if asked.clickhouse_url is None:
        engines.append(_clickhouse(settings))
    started = tuple(engine.name for engine in engines)
    steps = [ManagedService("migrations", ("-m", "optiinfra_assets.cli", "migrate"), after=started)]
    if not dagster_home.is_storage_current(settings):
        command = ("-m", "optiinfra_assets.embedded.dagster.home", str(settings.home))
        steps.append(ManagedService("dagster-storage", command))
    return [
        *engines,
        *steps,
        _code_location(settings),
        *_servers(settings, workspace, tuple(step.name for step in steps)),
    ]


def _postgres(path: Path) -> ManagedService:
    command = ("-m", "optiinfra_assets.embedded.postgres", "--path", str(path))

    async def ready(pid: int) -> bool:
        """postmaster.pid says that the server is ready, and the server is the child of our process, not an earlier one."""
        try:
            lines = (path / "postmaster.pid").read_text().splitlines()
            return lines[7].strip() == "ready" and psutil.Process(int(lines[0])).ppid() == pid
        except (OSError, IndexError, ValueError, psutil.Error):
            return False

    # The link to a socket with a long path lies where all our processes look for it.
    return ManagedService("postgres", command, ready, environment={"TMPDIR": os.environ.get("TMPDIR")})


def _clickhouse(settings: Settings) -> ManagedService:
    port = settings.clickhouse_port
    path = str(settings.home / "clickhouse")
    command = (
        "-m",
        "optiinfra_assets.embedded.clickhouse",
        "--path",
        path,
        "--host",
        LOOPBACK,
        "--port",
        str(port),
    )
    given = urlsplit(settings.clickhouse_url or "")
    login = {
        "OPTIINFRA_CLICKHOUSE_USER": unquote(given.username or ""),
        "OPTIINFRA_CLICKHOUSE_PASSWORD": unquote(given.password or ""),
    }
    return ManagedService("clickhouse", command, http_answers(LOOPBACK, port, "/ping"), environment=dict(login))


def _code_location(settings: Settings) -> ManagedService:
    """Dagster's code location runs what a caller tells it to and asks nobody who he is: only we reach its socket."""
    socket = home_folder.code_location_socket(settings.home)
    server = "optiinfra_assets.dagster_processes.code_location"
    command = ("-m", server, "--module-name", "optiinfra_assets.definitions", "--socket", str(socket))
    options = ("--location-name", "optiinfra", "--log-level", "warning")
    # Without DAGSTER_HOME it opens no storage of its own, which it does not need: every request brings its instance.
    # After SIGTERM it waits 10 to 20 s for calls that never arrive; its run workers, signalled at the same time, need less than one second.
    return ManagedService(
        "code-location",
        (*command, *options),
        listens(socket),
        layer=1,
        environment={"DAGSTER_HOME": None},
        patience=3,
    )


def _servers(settings: Settings, workspace: Path, steps: tuple[str, ...]) -> list[ManagedService]:
    dagster = ("-w", str(workspace))
    interface = "optiinfra_assets.dagster_processes.web:create_app"
    web = ("-m", "optiinfra_api.web", interface, "--host", LOOPBACK, "--port", str(settings.dagster_port))
    api = ("-m", "optiinfra_api", "--host", settings.bind_host, "--port", str(settings.api_port))
    after = (*steps, "code-location")
    return [
        ManagedService("dagster-webserver", web, http_answers(LOOPBACK, settings.dagster_port, "/healthz"), after, 2),
        ManagedService(
            "dagster-daemon", ("-m", "optiinfra_assets.dagster_processes.daemon", *dagster), stays, after, 2
        ),
        ManagedService("api", api, http_answers(settings.api_host, settings.api_port, "/healthz"), steps, 2),
    ]


def listens(socket: Path) -> Probe:
    """Return a probe: ready when the unix socket `socket` accepts connections."""

    async def ready(_pid: int) -> bool:
        try:
            _, writer = await asyncio.open_unix_connection(socket)
        except OSError:
            return False
        writer.close()
        return True

    return ready


def http_answers(host: str, port: int, path: str) -> Probe:
    """Return a probe: ready when ``GET path`` returns status 200."""

    async def ready(_pid: int) -> bool:
        try:
            reader, writer = await asyncio.open_connection(host, port)
            writer.write(f"GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
            status = await reader.readline()
            writer.close()
        except OSError:
            return False
        return status.split()[1:2] == [b"200"]

    return ready


async def stays(_pid: int) -> bool:
    """Ready as soon as it runs: Dagster's daemon listens on no address; `optiinfra status` checks its heartbeat."""
    return True
