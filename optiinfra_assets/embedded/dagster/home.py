"""Writes Dagster's folder and creates its tables: DAGSTER_HOME with our ``dagster.yaml`` and a workspace, and its schema in PostgreSQL.

``python -m optiinfra_assets.embedded.dagster.home HOME`` creates the schema. It runs once before the three Dagster processes start,
because otherwise each of them would create the schema at the same moment.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
from importlib.metadata import version
from pathlib import Path

from optiinfra_assets.dagster_processes import earlier_asset_keys, tables
from optiinfra_assets.embedded import home_folder
from optiinfra_assets.settings import Settings, project_file

_WORKSPACE = """\
load_from:
  - grpc_server:
      socket: {socket}
      location_name: optiinfra
"""
_MAX_CONCURRENT_RUNS = re.compile(r"(?<=max_concurrent_runs: )\d+")
_MAX_CUSTOMER_RUNS = re.compile(r"(?<= limit: )\d+")


def folder(settings: Settings) -> Path:
    """Return DAGSTER_HOME of this installation."""
    return settings.home / "dagster"


def prepare(settings: Settings) -> Path:
    """Write ``dagster.yaml`` and ``workspace.yaml`` for `settings`; return the path of ``workspace.yaml``."""
    home = folder(settings)
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    shipped = project_file("dagster.yaml").read_text()
    ours = _MAX_CONCURRENT_RUNS.sub(str(settings.max_concurrent_runs), shipped)
    (home / "dagster.yaml").write_text(_MAX_CUSTOMER_RUNS.sub(str(settings.max_customer_runs), ours))
    workspace = home / "workspace.yaml"
    workspace.write_text(_WORKSPACE.format(socket=json.dumps(str(home_folder.code_location_socket(settings.home)))))
    return workspace


def _mark(settings: Settings) -> str:
    """What identifies the storage: this version of Dagster, the form of our asset keys, and this database."""
    address = hashlib.sha256((settings.postgres_url or "").encode()).hexdigest()
    return f"dagster {version('dagster')}, asset keys {earlier_asset_keys.FORM} {address}\n"


def is_storage_current(settings: Settings) -> bool:
    """Whether `create_storage` has run for this version of Dagster, this form of asset keys and this database."""
    mark = folder(settings) / "storage"
    return mark.exists() and mark.read_text() == _mark(settings)


def create_storage(settings: Settings) -> None:
    """Create or upgrade Dagster's tables, and remember that.

    Raises:
        NewerDagster: a newer version of Dagster made the tables; nothing was changed.
    """
    tables.create(folder(settings), settings.postgres_url or "")
    (folder(settings) / "storage").write_text(_mark(settings))


if __name__ == "__main__":
    try:
        create_storage(Settings(home=Path(sys.argv[1])))
    except tables.NewerDagster as error:
        sys.exit(f"error: {error}")
