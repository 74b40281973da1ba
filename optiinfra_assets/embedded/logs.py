"""Log files of the services: bounds their size, keeps them readable while a service runs, and finds why a service ended."""

from __future__ import annotations

import contextlib
import ctypes
import os
import re
import shutil
import sys
from pathlib import Path
from typing import BinaryIO

from optiinfra_assets.embedded.private_files import private_opener

LARGEST_BYTES = 10_000_000
_COLLAPSE_RANGE = 8  # FALLOC_FL_COLLAPSE_RANGE
_EXCEPTION = re.compile(r"[A-Za-z_][\w.]*(Error|Exception)\b: ")
_FATAL = re.compile(r"(FATAL|PANIC):  (?!the database system is)")


def open_log(path: Path) -> BinaryIO:
    """Open a log for a child to append to; the file stays valid when `bound` shortens it."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    return open(path, "ab", opener=private_opener)


def bound(path: Path) -> None:
    """Move what a large log holds to ``<name>.1``, which replaces an older one. The log stays in place, as its writer keeps it open.

    The writer goes on meanwhile and no line of it is lost where the file system can cut off the beginning of a file (ext4, XFS). Elsewhere
    a line that is written in the microseconds before the file is emptied is lost.
    """
    if not path.exists() or path.stat().st_size <= LARGEST_BYTES:
        return
    # On a full disk the log stays as it is, and cannot grow either.
    with (
        contextlib.suppress(OSError),
        path.open("rb+", buffering=0) as log,
        open(path.with_name(f"{path.name}.1"), "wb", opener=private_opener) as older,
    ):
        block = os.fstatvfs(log.fileno()).f_bsize
        head = (os.fstat(log.fileno()).st_size - 1) // block * block
        older.write(log.read(head))
        older.flush()
        if not _cut_off(log.fileno(), head):
            shutil.copyfileobj(log, older)
            log.truncate(0)


def _cut_off(descriptor: int, head: int) -> bool:
    """Remove the first `head` bytes of a file and return True, or return False if its file system cannot (fallocate(2))."""
    if sys.platform != "linux":
        return False
    collapse = ctypes.CDLL(None).fallocate
    return bool(collapse(descriptor, _COLLAPSE_RANGE, ctypes.c_int64(0), ctypes.c_int64(head)) == 0)


def reason(path: Path, start: int) -> str:
    """Return the line written after byte `start` that best explains the failure."""
    with path.open("rb") as file:
        file.seek(start if start <= path.stat().st_size else 0)  # `bound` may have shortened it meanwhile
        lines = [line.strip() for line in file.read()[-100_000:].decode(errors="replace").splitlines() if line.strip()]
    # PostgreSQL's own message stands above what our process writes when PostgreSQL ends.
    fatal = [line for line in lines if _FATAL.search(line)]
    errors = [line.removeprefix("error: ") for line in lines if line.startswith("error: ")]
    # For chained exceptions Python prints the first cause first.
    causes = [line for line in lines if _EXCEPTION.match(line)]
    said = [*fatal[-1:], *errors[-1:], *causes[:1], *lines[-1:], "it said nothing"]
    return said[0]
