"""Log files of the services: bounds their size, keeps them readable while a service runs, and finds why a service ended."""

from __future__ import annotations

import re
import shutil
from pathlib import Path
from typing import BinaryIO

LARGEST_BYTES = 10_000_000
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception)\b: ")
_FATAL = re.compile(r"(FATAL|PANIC):  (?!the database system is)")


def open_log(path: Path) -> BinaryIO:
    """Open a log for a child to append to; the file stays valid when `bound` empties it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path.open("ab")


def bound(path: Path) -> None:
    """Copy a large log to ``<name>.1`` and empty it in place, because its writer keeps it open for appending."""
    if path.exists() and path.stat().st_size > LARGEST_BYTES:
        shutil.copyfile(path, path.with_name(f"{path.name}.1"))
        with path.open("rb+") as file:
            file.truncate(0)


def reason(path: Path, start: int) -> str:
    """Return the line written after byte `start` that best explains the failure."""
    with path.open("rb") as file:
        file.seek(start)
        lines = [line.strip() for line in file.read()[-100_000:].decode(errors="replace").splitlines() if line.strip()]
    # PostgreSQL's own message stands above what our process writes when PostgreSQL ends.
    fatal = [line for line in lines if _FATAL.search(line)]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    # For chained exceptions Python prints the first cause first.
    causes = [line for line in lines if _EXCEPTION.match(line)]
    said = [*fatal[-1:], *errors[-1:], *causes[:1], *lines[-1:], "it said nothing"]
    return said[0]
