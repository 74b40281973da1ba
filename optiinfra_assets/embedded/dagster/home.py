"""Writes Dagster's folder and creates its tables: DAGSTER_HOME with our ``dagster.yaml`` and a workspace, and its schema in PostgreSQL.

``python -m optiinfra_assets.embedded.dagster.home HOME`` creates the schema. It runs once before the three Dagster processes start,
because otherwise each of them would create the schema at the same moment.
"""

from __future__ import annotations

import hashlib
import json
import re
import sys
import time
from importlib.metadata import version
from pathlib import Path

from optiinfra_assets.embedded import home_folder
from optiinfra_assets.embedded.dagster import earlier_asset_keys
from optiinfra_assets.embedded.errors import PreflightError
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


def create_storage(settings: Settings, seconds: float = 60) -> None:
    """Create or upgrade Dagster's tables, and rename assets in their history; waits up to `seconds` for PostgreSQL to answer.

    The import takes longer than PostgreSQL's start, so both run at the same time.

    Raises:
        PreflightError: a newer version of Dagster made the tables; nothing was changed.
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
    _refuse_newer(settings.postgres_url or "")
    with DagsterInstance.from_config(str(folder(settings))) as instance:
        instance.upgrade()
    with psycopg.connect(settings.postgres_url or "") as connection:
        earlier_asset_keys.rename(connection)
    (folder(settings) / "storage").write_text(_mark(settings))


def _refuse_newer(url: str) -> None:
    """Refuse tables whose revision Dagster's own migrations, of Alembic, do not know."""
    import dagster_postgres
    import psycopg
    from alembic.script import ScriptDirectory
    from dagster_postgres.utils import pg_alembic_config

    with psycopg.connect(url) as connection:
        if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
            return
        found = [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]
    # Dagster finds its configuration from the place of a module in a folder of the package.
    config = pg_alembic_config(str(Path(dagster_postgres.__file__).parent / "run_storage" / "run_storage.py"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    newer = [revision for revision in found if revision not in known]
    if newer:
        raise PreflightError(
            f"Dagster's tables in PostgreSQL are of a newer version (revision {newer[0]}; this is Dagster {version('dagster')}), and "
            "nothing was changed: upgrade optiinfra, or restore a backup of before that upgrade"
        )


if __name__ == "__main__":
    try:
        create_storage(Settings(home=Path(sys.argv[1])))
    except PreflightError as error:
        sys.exit(f"error: {error}")
