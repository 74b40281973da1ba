"""Dagster's web interface as it is served, and one API with its databases, for all tests of this folder."""

from __future__ import annotations

import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import dagster as dg
import psycopg
import pytest
from loopback import HANG, eventually, free_port, wait_until_answers
from served_world import world
from web_interface import AUTOMATIONS, INSTALLATION_TOKEN, PUBLIC, WebInterface

from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings, project_file

__all__ = ["web", "world"]


@pytest.fixture(scope="session")
def web(postgres_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[WebInterface]:
    """The process that `optiinfra up` starts, on a database of its own, with the project's own code location."""
    name = f"web_{uuid.uuid4().hex[:12]}"
    with psycopg.connect(postgres_url, autocommit=True) as admin:
        admin.execute(f'CREATE DATABASE "{name}"'.encode())
        settings = Settings(
            home=tmp_path_factory.mktemp("home"),
            postgres_url=urlunsplit(urlsplit(postgres_url)._replace(path=f"/{name}")),
            dagster_url=f"http://127.0.0.1:{free_port()}",
            dagster_token=INSTALLATION_TOKEN,
        )
        try:
            yield from _served(settings)
        finally:
            admin.execute(f'DROP DATABASE "{name}" WITH (FORCE)'.encode())


def _served(settings: Settings) -> Iterator[WebInterface]:
    ours = {
        "DAGSTER_HOME": str(_dagster_home(settings.home)),
        "OPTIINFRA_HOME": str(settings.home),
        "OPTIINFRA_POSTGRES_URL": str(settings.postgres_url),
        "OPTIINFRA_DAGSTER_TOKEN": INSTALLATION_TOKEN,
        "OPTIINFRA_WEB_ORIGINS": PUBLIC,
    }
    metadata = Metadata.connect(settings)
    metadata.migrate()
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("OPTIINFRA_POSTGRES_URL", str(settings.postgres_url))
        with dg.DagsterInstance.from_config(ours["DAGSTER_HOME"]) as instance:
            command = ["-m", "optiinfra_api.web", "optiinfra_assets.dagster_processes.web:create_app"]
            port = settings.dagster_url.rpartition(":")[2]
            log = (settings.home / "web.log").open("w")
            process = subprocess.Popen(
                [sys.executable, *command, "--port", port], env={**os.environ, **ours}, stdout=log, stderr=log
            )
            try:
                wait_until_answers(f"{settings.dagster_url}/healthz", process)
                served = WebInterface(settings, metadata, instance, settings.home / "web.log")
                assert eventually(lambda: len(served.stopped_or_running()) == AUTOMATIONS, pause=0.2)
                yield served
            finally:
                process.terminate()
                process.wait(HANG)
                log.close()
                metadata.close()


def _dagster_home(home: Path) -> Path:
    folder = home / "dagster"
    folder.mkdir(parents=True)
    for name in ("dagster.yaml", "workspace.yaml"):
        (folder / name).write_text(project_file(name).read_text())
    return folder
