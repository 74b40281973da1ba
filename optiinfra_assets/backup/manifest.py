"""``manifest.json`` of a backup: what it holds, which versions wrote it, and the size and SHA-256 of each file.

It is written last, before the folder gets its name: a folder with it is a whole backup.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from typing import Any, Final

from optiinfra_assets.backup.errors import BackupError, DamagedBackup
from optiinfra_assets.database import migrations
from optiinfra_assets.database.errors import MigrationError
from optiinfra_assets.database.migrations import AppliedMigration
from optiinfra_assets.embedded.private_files import private_opener
from optiinfra_assets.settings import project_file

FORMAT: Final = 1
NAME: Final = "manifest.json"
Watch = Callable[[str, int, int | None], None]
"""Called with a stage, how many bytes of it are done, and of how many, None if that is not known."""

_TITLES: Final = {"postgres": "PostgreSQL", "clickhouse": "ClickHouse"}


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file of a backup: its size in bytes and its SHA-256 in hex."""

    size: int
    sha256: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Manifest:
    """What a backup holds.

    Attributes:
        versions: of the programs that wrote it, by name: optiinfra, dagster, postgres and clickhouse.
        begun_at: UTC instant of the backup: a restore gives this state. Publications of the seconds until `ended_at` may be in it too.
        ended_at: UTC instant at which everything was written.
        migrations: those that had run, by database (postgres, clickhouse).
        master_keys: ids of the master keys that its secrets need; the keys themselves are not in it.
        database_bytes: size of the PostgreSQL database, which its dump does not show.
        files: all others of its files, by their path in its folder.
        format: version of the form of the folder.
    """

    versions: Mapping[str, str]
    begun_at: datetime
    ended_at: datetime
    migrations: Mapping[str, list[AppliedMigration]]
    master_keys: list[str]
    database_bytes: int
    files: Mapping[str, StoredFile]
    format: int = FORMAT

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(one.size for one in self.files.values())

    @classmethod
    def read(cls, folder: Path) -> Manifest:
        """Read the manifest of the backup in `folder`.

        Raises:
            DamagedBackup: the folder is not a whole backup.
            BackupError: a newer version of OptiInfra wrote it.
        """
        try:
            content = json.loads((folder / NAME).read_text(encoding="utf-8"))
            if content["format"] > FORMAT:
                raise BackupError(f"{folder}: a newer version of OptiInfra wrote this backup: upgrade optiinfra")
            return cls(**{**content, **_converted(content)})
        except OSError as error:
            raise DamagedBackup(
                f"{folder}: no whole backup: {NAME}: {error.strerror}: name the folder that `optiinfra backup` made"
            ) from None
        except (ValueError, TypeError, LookupError, AttributeError):
            raise DamagedBackup(f"{folder}: {NAME} is damaged: use another backup") from None

    def write(self, folder: Path) -> None:
        """Write it into `folder` and sync it to disk."""
        with open(folder / NAME, "x", encoding="utf-8", opener=private_opener) as file:
            json.dump(asdict(self), file, indent=1, default=datetime.isoformat)
            file.flush()
            os.fsync(file.fileno())

    def check_versions(self) -> None:
        """Refuse a backup that this version cannot restore.

        Raises:
            BackupError: it needs a newer version, or its migrations are not ours; the message names what is newer.
        """
        for name, here in installed().items():
            if _release(self.versions[name]) > _release(here):
                raise BackupError(
                    f"backup: written with {name} {self.versions[name]}, here is {here}: upgrade optiinfra"
                )
        for database, title in _TITLES.items():
            known = migrations.load(project_file("sql", database, "migrations"))
            try:
                migrations.pending(known, self.migrations[database], f"backup: {title}")
            except MigrationError as error:
                raise BackupError(str(error)) from None

    def check_files(self, folder: Path, watch: Watch) -> None:
        """Compare each file in `folder` with its size and SHA-256.

        Raises:
            DamagedBackup: one is missing or differs; the message names it.
        """
        done = 0
        for name, expected in self.files.items():
            path = folder / name
            if path.is_symlink() or not path.is_file():
                raise DamagedBackup(f"{folder}: damaged: {name} is missing: use another backup")
            if path.stat().st_size != expected.size or digest(path) != expected.sha256:
                raise DamagedBackup(f"{folder}: damaged: {name} is not what was written: use another backup")
            done += expected.size
            watch("checking", done, self.size)


def installed() -> dict[str, str]:
    """Return the versions of OptiInfra and Dagster that are installed."""
    return {name: version(name) for name in ("optiinfra", "dagster")}


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def files_of(folder: Path) -> Iterator[Path]:
    """Yield every file below `folder`, in a fixed order."""
    for at, folders, names in os.walk(folder):
        folders.sort()
        yield from (Path(at, name) for name in sorted(names))


def _converted(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values of `content` that JSON has no type for."""
    return {
        **{name: datetime.fromisoformat(content[name]) for name in ("begun_at", "ended_at")},
        "migrations": {
            database: [AppliedMigration(**one) for one in content["migrations"][database]] for database in _TITLES
        },
        "files": {_inside(name): StoredFile(**one) for name, one in content["files"].items()},
    }


def _inside(name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(name)
    return name


def _release(text: str) -> tuple[int, ...]:
    """Return the numbers at the beginning of a version: (26, 9, 0) of ``26.9.0.1rc1``."""
    return tuple(int(number) for number in re.findall(r"\d+", text)[:3])
