"""Makes a backup of both embedded databases, while they are used.

The two databases are never at one moment, so the order decides what a restore gives. PostgreSQL is first, ClickHouse's record of what is
published second, and its rows are last:

- A generation is published after its rows are written, so each publication in the backup has its rows. Rows that retention removes go an
  hour after the record of it, and ClickHouse holds on to the parts of all tables as soon as their BACKUP begins.
- What was published between the first and the second is known to ClickHouse only. To PostgreSQL it is due, and the next collection finds
  it unchanged. The other order would lose changes: PostgreSQL would take for collected what ClickHouse does not have.
- Rows that were being written are in no publication: nobody sees them and `gc` removes them. `restore` makes new generations get higher
  numbers than theirs.

The folder has another name until it is whole; its manifest is written last.
"""

from __future__ import annotations

import errno
import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import Final

from optiinfra_assets.backup import databases
from optiinfra_assets.backup.errors import BackupError
from optiinfra_assets.backup.manifest import NAME, Manifest, StoredFile, Watch, digest, files_of, installed
from optiinfra_assets.database import clickhouse
from optiinfra_assets.database.migrations import AppliedMigration
from optiinfra_assets.embedded.errors import PreflightError
from optiinfra_assets.metadata import Metadata
from optiinfra_assets.warehouse.warehouse import Warehouse

POSTGRES, PUBLISHED, ROWS = "postgres.dump", "clickhouse-published", "clickhouse-rows"
_RECORDS: Final = ("publications", "archived_publications", "removed_generations", "schema_migrations")
"""The tables that say what readers see."""


def take(
    target: Path,
    postgres_url: str,
    metadata: Metadata,
    warehouse: Warehouse,
    clock: Callable[[], datetime],
    watch: Watch,
) -> Manifest:
    """Back up both databases to the new folder `target`.

    Args:
        target: the folder; it must not exist, and the folder above it must.
        postgres_url: address of the database that `metadata` is connected to.
        metadata: PostgreSQL.
        warehouse: ClickHouse, on this machine and with the rights to write to `target`.
        clock: tells the UTC instant.
        watch: called with the progress.

    Raises:
        BackupError: there is such a folder, the disk is full, or a database failed. Nothing is left then.
        StoreError: a database went away.
    """
    begun_at = clock()
    target = target.expanduser().absolute()
    _check_target(target)
    size, tables = metadata.rows("database_size.sql")[0], _tables(warehouse)
    need_room(target.parent, size["bytes"] + sum(tables.values()))
    with _incomplete(target) as folder:
        databases.dump_postgres(postgres_url, folder / POSTGRES, size["bytes"], watch)
        databases.backup_clickhouse(warehouse, _RECORDS, folder / PUBLISHED, 0, watch)
        rows = {name: stored for name, stored in tables.items() if name not in _RECORDS}
        databases.backup_clickhouse(warehouse, rows, folder / ROWS, sum(rows.values()), watch)
        server = clickhouse.rows(warehouse.client, "server_version.sql")[0]
        manifest = Manifest(
            versions={**installed(), "postgres": size["version"], "clickhouse": server["version"]},
            begun_at=begun_at,
            ended_at=clock(),
            migrations={
                "postgres": [AppliedMigration(**row) for row in metadata.rows("schema_migrations.sql")],
                "clickhouse": [
                    AppliedMigration(**row) for row in clickhouse.rows(warehouse.client, "schema_migrations.sql")
                ],
            },
            master_keys=[one.key_id for one in metadata.credentials.master_keys() if one.credentials],
            database_bytes=size["bytes"],
            files=_written(folder, watch),
        )
        manifest.write(folder)
        _sync(folder)
    return manifest


def need_room(folder: Path, needed: int) -> None:
    """Refuse to begin what the disk of `folder` has no room for.

    Raises:
        BackupError: fewer than `needed` bytes are free.
    """
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise BackupError(
            f"{folder}: its disk has {free / 1e6:.0f} MB free and {needed / 1e6:.0f} MB are needed: "
            "free some space, or name a folder on another disk"
        )


@contextmanager
def telling_full_disk(folder: Path) -> Iterator[None]:
    """Say in one line that the disk of `folder` is full, whoever found it."""
    try:
        yield
    except (OSError, BackupError, PreflightError) as error:
        is_full = getattr(error, "errno", None) == errno.ENOSPC or "No space left on device" in str(error)
        if not is_full:
            raise
        raise BackupError(
            f"{folder}: its disk is full: nothing is kept: free some space, or use another disk"
        ) from error


def _check_target(target: Path) -> None:
    if os.path.lexists(target):
        raise BackupError(f"{target}: exists already: name a new folder, such as {target}-2")
    if not target.parent.is_dir():
        raise BackupError(f"{target.parent}: there is no such folder: make it, or name another one")


def _tables(warehouse: Warehouse) -> dict[str, int]:
    return {row["name"]: row["bytes"] for row in clickhouse.rows(warehouse.client, "stored_tables.sql")}


@contextmanager
def _incomplete(target: Path) -> Iterator[Path]:
    """Yield a folder that becomes `target` at the end, or is removed if the context fails; it is locked meanwhile."""
    _remove_left(target)
    folder = target.with_name(f"{target.name}.incomplete-{os.getpid()}")
    with telling_full_disk(target.parent):
        folder.mkdir(mode=0o700)
        with _opened(folder) as held:
            try:
                fcntl.flock(held, fcntl.LOCK_EX)
                yield folder
                folder.rename(target)
                _sync(target.parent)
            except BaseException:
                shutil.rmtree(folder, ignore_errors=True)
                raise


def _remove_left(target: Path) -> None:
    """Remove what killed backups to the same folder left, and not what one that runs is writing."""
    left = re.compile(rf"{re.escape(target.name)}\.incomplete-\d+")
    for path in target.parent.iterdir():
        if left.fullmatch(path.name) and path.is_dir() and not path.is_symlink():
            with suppress(BlockingIOError, PermissionError), _opened(path) as held:
                fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(path, ignore_errors=True)


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _written(folder: Path, watch: Watch) -> dict[str, StoredFile]:
    """Sync all files to disk, and return their sizes and checksums."""
    paths = [path for path in files_of(folder) if path.name != NAME]
    total, done, found = sum(path.stat().st_size for path in paths), 0, {}
    for path in paths:
        path.chmod(0o600)
        _sync(path)
        stored = StoredFile(path.stat().st_size, digest(path))
        found[str(path.relative_to(folder))] = stored
        done += stored.size
        watch("checksums", done, total)
    for at, _, _ in os.walk(folder):
        _sync(Path(at))
    return found


def _sync(path: Path) -> None:
    with _opened(path) as descriptor:
        os.fsync(descriptor)
