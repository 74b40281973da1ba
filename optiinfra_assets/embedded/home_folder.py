"""OPTIINFRA_HOME, the folder of all state: locked by one supervisor, readable by its owner only, with sockets and temporary files in it."""

from __future__ import annotations

import contextlib
import fcntl
import shutil
from collections.abc import Iterator
from io import TextIOWrapper
from pathlib import Path

from optiinfra_assets.embedded import exchange, socket_paths
from optiinfra_assets.embedded.private_files import make_private, private_opener

_LOCK = "supervisor.lock"
_OURS = {
    *exchange.DATABASES,
    *(exchange.BUILDING, exchange.READY),
    *(f"postgres.{kind}" for kind in ("lock", "log", "new")),
    *("dagster", "demo", "logs", "simulated", "sockets", "tmp"),
    *("master.key", "master.key.lock", "metrics.token", "metrics.token.new"),
    *("runtime.json", "runtime.json.new", "sessions.json", "sessions.json.new", _LOCK),
}
_CODE_LOCATION = "code-location.sock"


def open_lock(home: Path) -> TextIOWrapper:
    """Open the file whose lock the supervisor of `home` holds; it contains that supervisor's pid."""
    return open(home / _LOCK, "a+", opener=private_opener)


def try_lock(file: TextIOWrapper) -> int | None:
    """Lock `file` until it is closed, or return the pid that the holder of the lock wrote, 0 if it has written none."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        return int(file.read().strip() or 0)
    return None


def is_held(home: Path) -> bool:
    """Whether a supervisor holds the lock of `home`. Creates nothing there."""
    try:
        if not (home / _LOCK).is_file():
            return False
        with open_lock(home) as file:
            return try_lock(file) is not None
    except OSError:
        return False


def tighten(home: Path) -> None:
    """Take from others the access to our state in `home`, and to `home` itself if nothing else is in it. Nothing above it is changed.

    What fills the databases' folders was made private with them, and may be too much to look through at each start.
    """
    children = list(home.iterdir())
    ours = [child for child in children if child.name in _OURS or child.name.startswith(exchange.REPLACED)]
    for child in ours:
        make_private(child, but_not_in=[folder / name for folder in (home, child) for name in exchange.DATABASES])
    if ours == children:
        with contextlib.suppress(PermissionError):
            home.chmod(0o700)


def temporary(home: Path) -> Path:
    """Folder for temporary files of the services: what a killed one leaves goes with the next start."""
    return home / "tmp"


def code_location_socket(home: Path) -> Path:
    """The socket of Dagster's code location, by the path that clients use."""
    return socket_paths.reachable(home / "sockets", _CODE_LOCATION) / _CODE_LOCATION


@contextlib.contextmanager
def working_folders(home: Path) -> Iterator[None]:
    """Provide empty folders for sockets and temporary files while the context is open.

    Raises:
        PreflightError: the path is too long for a socket, and no link to it can be made.
    """
    clear(home)
    for folder in (temporary(home), home / "sockets"):
        folder.mkdir(mode=0o700)
    try:
        with socket_paths.linked(home / "sockets", _CODE_LOCATION):
            yield
    finally:
        clear(home)


def clear(home: Path) -> None:
    """Remove what `working_folders` provided, also to a process that was killed."""
    socket_paths.forget(home / "sockets", _CODE_LOCATION)
    for folder in (temporary(home), home / "sockets"):
        shutil.rmtree(folder, ignore_errors=True)
