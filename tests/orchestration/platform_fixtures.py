"""Fixtures of the tests of orchestration and ingestion: a Dagster instance, the platform on the test's own databases, a folder of files."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from orchestrated import Files, Platform, Scripted

from optiinfra_assets.metadata import Metadata
from optiinfra_assets.providers import PROVIDERS
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    """A Dagster instance with storage in files, so that schedules and sensors can open it; in memory where the system has such a folder.

    On disk every event of a run waits for the disk: 1.5 s a run instead of 0.3 s.
    """
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own below it
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as home:
        storage = {
            "module": "dagster._core.storage.event_log",
            "class": "ConsolidatedSqliteEventLogStorage",
            "config": {"base_dir": f"{home}/history"},
        }
        with dg.DagsterInstance.local_temp(home, overrides={"event_log_storage": storage}) as opened:
            yield opened


@pytest.fixture
def platform(settings: Settings, warehouse: Warehouse, metadata: Metadata, instance: dg.DagsterInstance) -> Platform:
    """Everything of this test alone, with the real providers."""
    return Platform(settings, warehouse, metadata, instance, PROVIDERS)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """A folder without files yet."""
    return Files(tmp_path / "files")


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
    scripted: Scripted,
    files: Files,
) -> Platform:
    """The platform with that provider alone, and an account on `files`."""
    platform = Platform(settings, warehouse, metadata, instance, {"scripted": scripted})
    platform.add_account("acme.files", "scripted", location=str(files.path))
    return platform
