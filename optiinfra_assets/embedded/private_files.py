"""Files and folders that only their owner can read: 0600 and 0700, whatever the umask and whatever an earlier version left."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection
from pathlib import Path

PRIVATE_UMASK = 0o077
_OTHERS = stat.S_IRWXG | stat.S_IRWXO


def private_opener(name: str, flags: int) -> int:
    """An `opener` for `open`: a file that it creates is readable by its owner only."""
    return os.open(name, flags, 0o600)


def make_private(path: Path, *, but_not_in: Collection[Path] = ()) -> None:
    """Take from all others the access to `path` and all that is in it, except what others own.

    Links are not followed. Folders of `but_not_in` that are private already are taken for private inside as well.
    """
    with contextlib.suppress(FileNotFoundError, PermissionError):
        mode = path.lstat().st_mode
        if stat.S_ISLNK(mode) or (path in but_not_in and not mode & _OTHERS):
            return
        if stat.S_ISDIR(mode):
            for child in path.iterdir():
                make_private(child, but_not_in=but_not_in)
        if mode & _OTHERS:
            path.chmod(stat.S_IMODE(mode) & ~_OTHERS)
