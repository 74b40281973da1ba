"""Creates and upgrades Dagster's tables. One process does it at a time, before the others start: each of them would do it otherwise."""

from __future__ import annotations

import time
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Final

from optiinfra_assets.dagster_processes import earlier_asset_keys

if TYPE_CHECKING:
    import psycopg

_LOCK: Final = 6_700_417_010
"""Number of the advisory lock in PostgreSQL; ours alone use it."""


class NewerDagster(RuntimeError):
    """A newer version of Dagster made the tables; nothing was changed."""


def create(folder: Path, url: str, seconds: float = 60) -> None:
    """Create or upgrade Dagster's tables, and rename assets in their history; waits up to `seconds` for PostgreSQL to answer.

    The import takes longer than PostgreSQL's start, so both run at the same time.

    Args:
        folder: DAGSTER_HOME, with ``dagster.yaml``.
        url: the database that it names.
        seconds: how long to wait.

    Raises:
        NewerDagster: a newer version of Dagster made the tables.
        psycopg.OperationalError: PostgreSQL does not answer.
    """
    import psycopg
    from dagster import DagsterInstance

    from optiinfra_assets.dagster_processes import storage  # noqa: F401 - long to import, needed below

    deadline = time.monotonic() + seconds
    while True:
        try:
            connection = psycopg.connect(url, connect_timeout=10, autocommit=True)
            break
        except psycopg.OperationalError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    with connection:
        connection.execute("SELECT pg_advisory_lock(%s)", (_LOCK,))
        _refuse_newer(connection)
        with DagsterInstance.from_config(str(folder)) as instance:
            instance.upgrade()
        earlier_asset_keys.rename(connection)


def _refuse_newer(connection: psycopg.Connection) -> None:
    """Refuse tables whose revision Dagster's own migrations, of Alembic, do not know."""
    import dagster_postgres
    from alembic.script import ScriptDirectory
    from dagster_postgres.utils import pg_alembic_config

    if connection.execute("SELECT to_regclass('alembic_version')").fetchone() == (None,):
        return
    found = [row[0] for row in connection.execute("SELECT version_num FROM alembic_version")]
    # Dagster finds its configuration from the place of a module in a folder of the package.
    config = pg_alembic_config(str(Path(dagster_postgres.__file__).parent / "run_storage" / "run_storage.py"))
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    newer = [revision for revision in found if revision not in known]
    if newer:
        raise NewerDagster(
            f"Dagster's tables in PostgreSQL are of a newer version (revision {newer[0]}; this is Dagster {version('dagster')}), and "
            "nothing was changed: upgrade optiinfra, or restore a backup of before that upgrade"
        )
