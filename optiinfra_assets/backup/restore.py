"""Restores a backup into a home: builds both databases beside those that are there, checks them, and exchanges them at the end.

Until the exchange the home is as it was, and `embedded.exchange` makes the exchange itself whole. So a failure or a kill at any moment
leaves the old databases or the new ones.
"""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from optiinfra_assets.backup import databases
from optiinfra_assets.backup.errors import BackupError, DamagedBackup
from optiinfra_assets.backup.manifest import Manifest, Watch
from optiinfra_assets.backup.take import POSTGRES, PUBLISHED, ROWS, need_room, telling_full_disk
from optiinfra_assets.database.errors import StoreError
from optiinfra_assets.embedded import engines, exchange, preflight, runtime_file, sessions
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.settings import Settings
from optiinfra_assets.vault.keyring import Keyring
from optiinfra_assets.warehouse.warehouse import Warehouse


@dataclass(frozen=True, slots=True)
class RestoreResult:
    """What a restore did.

    Attributes:
        manifest: of the backup.
        kept: folder with the databases that were there before, None if there were none.
        missing_keys: ids of master keys that secrets in the backup need and that are not given here.
    """

    manifest: Manifest
    kept: Path | None
    missing_keys: list[str]


def check(folder: Path, watch: Watch) -> Manifest:
    """Check that `folder` is a whole backup that this version can restore; return its manifest.

    Raises:
        DamagedBackup: it is not whole, or a file of it is not what was written.
        BackupError: it needs a newer version.
    """
    manifest = _readable(folder)
    manifest.check_files(folder, watch)
    return manifest


def restore(folder: Path, home: Path, now: datetime, watch: Watch, *, replace: bool = False) -> RestoreResult:
    """Restore the backup in `folder` into `home`, where nothing may run.

    Args:
        folder: a folder that `take` made.
        home: OPTIINFRA_HOME; created if missing.
        now: UTC instant, for the name of the folder that keeps what was there.
        watch: called with the progress.
        replace: exchange databases that are there; without it they are refused.

    Raises:
        DamagedBackup: the backup is not whole, or does not hold what it published.
        BackupError: it needs a newer version, the home has data, the disk is full, or a database failed.
        PreflightError: the home is in use, or a database cannot start.
    """
    folder, home = folder.expanduser().absolute(), home.expanduser().resolve()
    manifest = _readable(folder)
    with held(home):
        if exchange.holds_data(home) and not replace:
            raise BackupError(
                f"home {home}: has databases already: add --replace to exchange them (they are kept in a folder of it), "
                "or set OPTIINFRA_HOME to another folder"
            )
        need_room(home, manifest.size + manifest.database_bytes + preflight.LEAST_FREE_BYTES)
        manifest.check_files(folder, watch)
        missing = _build(folder, manifest, home, watch)
        return RestoreResult(manifest, exchange.commit(home, now), missing)


@contextmanager
def held(home: Path) -> Iterator[None]:
    """Hold `home` while nothing runs in it, after ending what a killed platform left, and finishing what a killed restore had decided.

    Raises:
        PreflightError: it is in use, or is not a folder that we may write to.
    """
    with preflight.hold_home(home):
        sessions.end_left(home)
        runtime_file.remove(home)
        exchange.finish(home)
        yield


def _readable(folder: Path) -> Manifest:
    manifest = Manifest.read(folder)
    manifest.check_versions()
    return manifest


def _build(folder: Path, manifest: Manifest, home: Path, watch: Watch) -> list[str]:
    """Build both databases beside those of `home`; return the ids of the master keys that are not given here."""
    try:
        with telling_full_disk(home), engines.serving(exchange.building(home)) as (postgres_url, clickhouse_url):
            settings = Settings(home=home, postgres_url=postgres_url, clickhouse_url=clickhouse_url)
            with closing(Metadata.connect(settings)) as metadata, closing(Warehouse.connect(settings)) as warehouse:
                metadata.rows("create_api_role.sql")
                databases.restore_postgres(postgres_url, folder / POSTGRES, watch)
                for name in (PUBLISHED, ROWS):
                    databases.restore_clickhouse(warehouse, folder / name, watch)
                _settle(metadata, warehouse, watch)
            return _missing_keys(settings, manifest)
    except BaseException:
        shutil.rmtree(home / exchange.BUILDING, ignore_errors=True)
        raise


def _settle(metadata: Metadata, warehouse: Warehouse, watch: Watch) -> None:
    """Bring restored tables up to this version, number new generations above all rows, and compare the rows with what was published."""
    watch("comparing", 0, None)
    metadata.migrate()
    warehouse.migrate()
    metadata.slices.skip_generations(warehouse.newest_written())
    wrong = warehouse.unequal_generation()
    if wrong:
        raise DamagedBackup(f"backup: {wrong}: its line items are not those that were published: use another backup")


def _missing_keys(settings: Settings, manifest: Manifest) -> list[str]:
    keyring = Keyring.configured(settings)

    def is_given(key_id: str) -> bool:
        try:
            keyring.key(key_id)
        except StoreError:
            return False
        return True

    return [key_id for key_id in manifest.master_keys if not is_given(key_id)]
