"""Dagster's own folder and tables: DAGSTER_HOME with our ``dagster.yaml`` and a workspace, and its schema in PostgreSQL.

``python -m optiinfra_assets.embedded.dagster.home HOME`` creates the schema. It runs once before the three Dagster processes start,
because each of them would create it, all at the same moment.
"""

from __future__ import annotations

import hashlib
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path

from optiinfra_assets.settings import Settings, project_file

_WORKSPACE = """\
load_from:
  - grpc_server:
      host: 127.0.0.1
      port: {port}
      location_name: optiinfra
"""
_MAX_CONCURRENT_RUNS = re.compile(r"(?<=max_concurrent_runs: )\d+")


def folder(settings: Settings) -> Path:
    """DAGSTER_HOME of this installation."""
    return settings.home / "dagster"


def prepare(settings: Settings) -> Path:
    """Write ``dagster.yaml`` and ``workspace.yaml`` as they belong to `settings`; returns the path of the latter."""
    home = folder(settings)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    shipped = project_file("dagster.yaml").read_text()
    (home / "dagster.yaml").write_text(_MAX_CONCURRENT_RUNS.sub(str(settings.max_concurrent_runs), shipped))
    workspace = home / "workspace.yaml"
    workspace.write_text(_WORKSPACE.format(port=settings.code_location_port))
    return workspace


def _mark(settings: Settings) -> str:
    """What the schema answers to: this version of Dagster in this database."""
    address = hashlib.sha256((settings.postgres_url or "").encode()).hexdigest()
    return f"dagster {version('dagster')} {address}\n"


def is_storage_current(settings: Settings) -> bool:
    """Whether `create_storage` has run for this version of Dagster and this database."""
    mark = folder(settings) / "storage"
    return mark.exists() and mark.read_text() == _mark(settings)


def create_storage(settings: Settings, seconds: float = 60) -> None:
    """Create Dagster's tables or bring them up to date, once PostgreSQL answers, for which it waits up to `seconds`.

    The import takes longer than a start of PostgreSQL, so the two go on side by side.
    """
    import psycopg
    from dagster import DagsterInstance

    from optiinfra_assets.embedded.dagster import storage  # noqa: F401 - long to import, needed below

    deadline = time.monotonic() + seconds
    while True:
        try:
            psycopg.connect(settings.postgres_url or "", connect_timeout=10).close()
            break
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    with DagsterInstance.from_config(str(folder(settings))) as instance:
        instance.upgrade()
    (folder(settings) / "storage").write_text(_mark(settings))


if __name__ == "__main__":
    create_storage(Settings(home=Path(sys.argv[1])))
