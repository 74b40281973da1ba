"""Finds the embedded databases of a home: those that run, or started for the moment if nothing runs there."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from optiinfra_assets.backup.errors import BackupError
from optiinfra_assets.backup.restore import held
from optiinfra_assets.database import clickhouse
from optiinfra_assets.embedded import engines, exchange, home_folder
from optiinfra_assets.embedded.postgres import data_folder
from optiinfra_assets.settings import Settings
from optiinfra_assets.warehouse.warehouse import Warehouse

_OWN_SERVER = "{name}: is your own server: back it up and restore it with its own tools, PostgreSQL before ClickHouse (docs/backup.md)"


def refuse_own_servers() -> None:
    """Refuse what the environment says of databases of one's own.

    Raises:
        BackupError: names the variable.
    """
    for name in ("OPTIINFRA_POSTGRES_URL", "OPTIINFRA_CLICKHOUSE_URL"):
        if os.environ.get(name):
            raise BackupError(_OWN_SERVER.format(name=name))


@contextmanager
def opened_home(settings_of: Callable[[], Settings]) -> Iterator[Settings]:
    """Yield settings with the addresses of the embedded databases of the home, while they run.

    Raises:
        BackupError: the home has no databases, belongs to another user, or uses servers of one's own.
        PreflightError: the databases cannot be started.
    """
    refuse_own_servers()
    settings = settings_of()
    home = settings.home.expanduser().resolve()
    if not exchange.holds_data(home) and not (home / exchange.READY).is_dir():
        raise BackupError(f"home {home}: has no databases: set OPTIINFRA_HOME to the folder of `optiinfra up`")
    if os.geteuid() not in (0, home.stat().st_uid):
        raise BackupError(f"home {home}: belongs to another user: run this as the user of `optiinfra up`")
    if _is_served(home):
        yield _of_running(settings, home)
        return
    with held(home), engines.serving(home) as (postgres_url, clickhouse_url):
        yield settings.model_copy(update={"postgres_url": postgres_url, "clickhouse_url": clickhouse_url})


def _is_served(home: Path) -> bool:
    with home_folder.open_lock(home) as file:
        return home_folder.try_lock(file) is not None


def _of_running(settings: Settings, home: Path) -> Settings:
    """Return `settings`, which name the databases of the platform that runs in `home`.

    Raises:
        BackupError: it is still starting, or uses servers of one's own.
    """
    if settings.postgres_url is None or settings.clickhouse_url is None:
        raise BackupError(f"home {home}: the platform there is starting or stopping: try again in a minute")
    if settings.postgres_url != data_folder.url(home / "postgres"):
        raise BackupError(_OWN_SERVER.format(name="OPTIINFRA_POSTGRES_URL of the platform that runs"))
    with closing(Warehouse.connect(settings)) as warehouse:
        found = clickhouse.rows(warehouse.client, "server_version.sql")
    if not found or Path(found[0]["path"]).resolve() != home / "clickhouse":
        raise BackupError(_OWN_SERVER.format(name="OPTIINFRA_CLICKHOUSE_URL of the platform that runs"))
    return settings
