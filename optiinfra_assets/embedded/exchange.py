"""Puts restored databases in the place of those of a home, so that a kill at any moment leaves the old ones or the new ones, never a mix.

The new ones are built in a folder of the home under `BUILDING`. `commit` renames it to `READY`: from then on the exchange is decided, and
whoever holds the home next finishes it, `optiinfra up` too. What was there before is kept in a folder of its own.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from datetime import datetime
from pathlib import Path

BUILDING, READY = "restore.new", "restore.ready"
DATABASES = ("postgres", "clickhouse")
REPLACED = "replaced-"
"""Beginning of the names of folders with what a restore replaced."""
_NAME = "replaced"


def holds_data(home: Path) -> bool:
    """Whether a database of ours lies in `home`."""
    return any((home / name).is_dir() and any((home / name).iterdir()) for name in DATABASES)


def building(home: Path) -> Path:
    """Return an empty folder for new databases; what a killed restore left in it is removed."""
    folder = home / BUILDING
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    return folder


def commit(home: Path, now: datetime) -> Path | None:
    """Put what was built in the place of the databases of `home`, which the caller holds and which nothing serves.

    Returns:
        The folder that keeps what was there before; None if nothing was.
    """
    kept = f"{REPLACED}{now:%Y%m%dT%H%M%SZ}"
    (home / BUILDING / _NAME).write_text(kept)
    os.sync()  # ClickHouse does not sync what it restores: a power cut right after the exchange must not lose it
    (home / BUILDING).replace(home / READY)
    finish(home)
    return home / kept if (home / kept).is_dir() else None


def finish(home: Path) -> None:
    """Finish the exchange that a killed process had decided; do nothing if there is none. It can be interrupted and repeated."""
    ready = home / READY
    if (ready / _NAME).exists():
        # This file says that Dagster's tables are those of the installed Dagster, which restored ones need not be.
        (home / "dagster" / "storage").unlink(missing_ok=True)
        kept = home / (ready / _NAME).read_text()
        kept.mkdir(mode=0o700, exist_ok=True)
        for name in DATABASES:
            if (ready / name).exists():
                with contextlib.suppress(FileNotFoundError):
                    (home / name).replace(kept / name)
                (ready / name).replace(home / name)
        with contextlib.suppress(OSError):  # it is not empty: it keeps what was there
            kept.rmdir()
        os.sync()
    shutil.rmtree(ready, ignore_errors=True)
