"""Fixtures of the tests of orchestration and ingestion: a Dagster instance, the platform on the test's own databases, a folder of files."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

import dagster as dg
import pytest
import sqlalchemy
from alembic.script import ScriptDirectory
from dagster._core.storage.event_log.sqlite import consolidated_sqlite_event_log
from dagster._core.storage.runs.sqlite import sqlite_run_storage
from dagster._core.storage.schedules.sqlite import sqlite_schedule_storage
from orchestrated import NOW, Files, Platform, Scripted

from optiinfra_assets.ingestion import account_access, onboarding
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.providers.context import ProviderContext, transient_context
from optiinfra_assets.settings import Settings, project_file
from optiinfra_assets.simulators.world.world import SimulatedClock
from optiinfra_assets.warehouse.warehouse import Warehouse

Made = TypeVar("Made")

FILES_AT_ONCE: Final = 12
"""More than the databases of an instance."""


def _opened(home: str) -> dg.DagsterInstance:
    storage = {
        "module": "dagster._core.storage.event_log",
        "class": "ConsolidatedSqliteEventLogStorage",
        "config": {"base_dir": f"{home}/history"},
    }
    return dg.DagsterInstance.local_temp(home, overrides={"event_log_storage": storage})


def _kept(make: Callable[..., Made], key: Callable[[Any], str]) -> Callable[..., Made]:
    """`make`, which makes nothing twice of what it made last."""
    made: dict[str, Made] = {}

    def found(what: Any, **options: Any) -> Made:
        name = key(what)
        if name not in made:
            made[name] = make(what, **options)
            while len(made) > FILES_AT_ONCE:
                del made[next(iter(made))]
        return made[name]

    return found


@pytest.fixture(scope="session")
def new_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The folder of an instance in which nothing ever ran, to be copied: Dagster takes five times as long to make one.

    Its storage in files loads all its migrations for each instance and compiles each statement again for each connection, which takes
    a third of a run; with PostgreSQL it does not.
    """
    with pytest.MonkeyPatch.context() as patched:
        for module in (consolidated_sqlite_event_log, sqlite_run_storage, sqlite_schedule_storage):
            patched.setattr(module, "create_engine", _kept(sqlalchemy.create_engine, str))
        scripts = _kept(ScriptDirectory.from_config, lambda config: str(config.get_main_option("script_location")))
        patched.setattr(ScriptDirectory, "from_config", scripts)
        home = tmp_path_factory.mktemp("dagster")
        with _opened(str(home)):
            pass
        yield home


@pytest.fixture
def instance(new_home: Path) -> Iterator[dg.DagsterInstance]:
    """A Dagster instance with storage in files, so that schedules and sensors can open it; in memory where the system has such a folder.

    On disk every event of a run waits for the disk: 1.5 s a run instead of 0.3 s.
    """
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own below it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as home:
        shutil.copytree(new_home, home, dirs_exist_ok=True)
        with _opened(home) as opened:
            yield opened


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimulatedClock:
    """The time for the platform, for its providers, which do not wait, and for the simulated clouds of a test."""
    simulated = SimulatedClock(NOW)
    monkeypatch.setattr(account_access, "utc_now", simulated)
    monkeypatch.setattr(account_access, "ProviderContext", partial(ProviderContext, sleep=lambda seconds: None))
    monkeypatch.setattr(
        onboarding, "transient_context", lambda: replace(transient_context(), sleep=lambda seconds: None)
    )
    return simulated


@pytest.fixture
def platform(
    settings: Settings,
    warehouse: Warehouse,
    metadata: Metadata,
    instance: dg.DagsterInstance,
    clock: SimulatedClock,
) -> Platform:
    """Everything of this test alone, with the real providers."""
    return Platform(settings, warehouse, metadata, instance, PROVIDERS, clock)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A folder without files yet."""
    return Files(tmp_path / "files")


@pytest.fixture
def postgres_instance(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dg.DagsterInstance]:
    """The project's own dagster.yaml on the test's database."""
    monkeypatch.setenv("OPTIINFRA_POSTGRES_URL", str(settings.postgres_url))
    (tmp_path / "dagster.yaml").write_text(project_file("dagster.yaml").read_text())
    with dg.DagsterInstance.from_config(str(tmp_path)) as opened:
        yield opened


@pytest.fixture
def scripted() -> Scripted:
    """A provider that fails on demand."""
    return Scripted()


@pytest.fixture
def scripted_platform(
    settings: Settings,
    warehouse: Warehouse,
    metadata: Metadata,
    instance: dg.DagsterInstance,
    clock: SimulatedClock,
    scripted: Scripted,
    files: Files,
) -> Platform:
    """The platform with that provider alone, and an account on `files`."""
    platform = Platform(settings, warehouse, metadata, instance, {"scripted": scripted}, clock)
    platform.add_account("acme.files", "scripted", location=str(files.path))
    return platform
