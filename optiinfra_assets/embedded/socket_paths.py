"""Paths of unix sockets that fit: a socket's path has at most 107 bytes on Linux and 103 on macOS (unix(7), unix(4)), a folder's more.

A socket always lies in a private folder of ours. If its path does not fit, clients and servers name the folder by a short link to it in the
temporary folder, which exists while the server does. The link opens nothing to others: they can follow it, and then not enter.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from optiinfra_assets.embedded.errors import PreflightError

LONGEST = 103
_PLAIN = re.compile(r"[\w./~@:+,=-]+", re.ASCII)
"""gRPC parses the path as a part of a URI, and libpq as one of a list."""


def reachable(folder: Path, socket: str) -> Path:
    """Return the path of `folder` (resolved) that is used to reach `socket` in it: its own, or that of the link."""
    if _fits(folder / socket):
        return folder
    digest = hashlib.sha256(os.fsencode(folder)).hexdigest()[:16]
    link = Path(tempfile.gettempdir(), f"optiinfra-{os.geteuid()}-{digest}.link")
    return link if _fits(link / socket) else Path("/tmp", link.name)  # noqa: S108 - `linked` checks whose it is


def _fits(path: Path) -> bool:
    return len(os.fsencode(path)) <= LONGEST and bool(_PLAIN.fullmatch(str(path)))


@contextlib.contextmanager
def linked(folder: Path, socket: str) -> Iterator[Path]:
    """Make the link, if one is needed, while the context is open; yields what `reachable` returns.

    Raises:
        PreflightError: another user, or something else, has the name of the link.
    """
    path = reachable(folder, socket)
    if path == folder:
        yield folder
        return
    with contextlib.suppress(FileExistsError):
        path.symlink_to(folder)
    # One that a killed process left is as good. Nobody else can replace ours: the temporary folder is sticky.
    if path.lstat().st_uid != os.geteuid() or not path.is_symlink() or path.readlink() != folder:
        raise PreflightError(f"{path}: is not our link to {folder}: remove it, or choose a shorter OPTIINFRA_HOME")
    try:
        yield path
    finally:
        forget(folder, socket)


def forget(folder: Path, socket: str) -> None:
    """Remove the link, if there is one of ours."""
    path = reachable(folder, socket)
    if path != folder and path.is_symlink() and path.lstat().st_uid == os.geteuid():
        path.unlink(missing_ok=True)
