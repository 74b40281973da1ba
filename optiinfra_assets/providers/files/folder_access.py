"""Reaches files and folders below one folder of this machine: wherever links lead, or only what really lies in it.

A customer may write into a folder that the platform reads with its own rights. So a link could lead to what he may not read, and a folder
could become a link between two looks at it. `ConfinedAccess` therefore opens every part of a path by itself, without following links,
after it has looked up where the path really leads. A hard link is a file like any other, and nothing tells where else it has a name.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

_TO_PASS: Final = getattr(os, "O_PATH", os.O_RDONLY) | os.O_CLOEXEC
_TO_READ: Final = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe without a writer would be waited for


class Outside(Exception):
    """What was asked for is not in the folder, or is no file or folder."""


class FolderAccess:
    """Follows links wherever they lead. Names are paths below the folder; '' is the folder itself.

    Each function raises OSError as the system does.
    """

    def __init__(self, root: Path) -> None:
        self._root = root

    def stat(self, name: str) -> os.stat_result:
        """Return what the system tells of a file or folder."""
        return (self._root / name).stat()

    def names(self, name: str) -> list[str]:
        """Return the names in a folder, sorted."""
        return _names(self._root / name)

    @contextmanager
    def opened(self, name: str) -> Iterator[str]:
        """Open a file, and yield a path that leads to just this file while it is open.

        Raises:
            Outside: it is a pipe, a device or a socket.
        """
        descriptor = self._open(name, _TO_READ)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise Outside
            yield f"/dev/fd/{descriptor}"
        finally:
            os.close(descriptor)

    def _open(self, name: str, flags: int) -> int:
        return os.open(self._root / name, flags)


class ConfinedAccess(FolderAccess):
    """Reaches only what lies in the folder, as it is at that moment. Links are followed if they lead to something in it.

    Each function raises Outside for anything else, also if the folder itself has become a link.
    """

    def stat(self, name: str) -> os.stat_result:
        """As the base class."""
        descriptor = self._open(name, _TO_PASS)
        try:
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def names(self, name: str) -> list[str]:
        """As the base class."""
        descriptor = self._open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return _names(descriptor)
        finally:
            os.close(descriptor)

    def _open(self, name: str, flags: int) -> int:
        real = Path(os.path.realpath(self._root / name))
        if not real.is_relative_to(self._root):
            raise Outside
        *folders, last = real.parts[1:] or (".",)
        descriptor = os.open("/", _TO_PASS | os.O_DIRECTORY)
        try:
            for part in folders:
                descriptor = self._next(descriptor, part, _TO_PASS | os.O_DIRECTORY)
            return self._step(descriptor, last, flags)
        finally:
            os.close(descriptor)

    def _next(self, descriptor: int, part: str, flags: int) -> int:
        found = self._step(descriptor, part, flags)
        os.close(descriptor)
        return found

    @staticmethod
    def _step(descriptor: int, part: str, flags: int) -> int:
        try:
            found = os.open(part, flags | os.O_NOFOLLOW, dir_fd=descriptor)
        except OSError as error:
            if error.errno in (errno.ELOOP, errno.ENOTDIR):  # it has become a link since it was looked up
                raise Outside from None
            raise
        if stat.S_ISLNK(os.fstat(found).st_mode):  # with O_PATH a link is opened itself
            os.close(found)
            raise Outside
        return found


def _names(folder: Path | int) -> list[str]:
    with os.scandir(folder) as found:
        return sorted(entry.name for entry in found)
