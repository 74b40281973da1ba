"""Checks before anything starts: a folder that no other supervisor holds, free disk space, free ports. Each failure is one line."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import socket
import time
from collections.abc import Iterator
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from optiinfra_assets.embedded import home_folder, processes
from optiinfra_assets.embedded.errors import PreflightError

LEAST_FREE_BYTES = 500_000_000
"""Enough for the two empty databases (PostgreSQL's is 40 MB), their logs and a first collection."""

LONGEST_CLEANUP = 60.0
"""Seconds after a kill within which everything of the killed supervisor has ended."""


@contextlib.contextmanager
def hold_home(home: Path) -> Iterator[None]:
    """Create `home` if needed, make it private and lock out every other supervisor; the lock ends with this process.

    Waits for what ends after a kill: the last supervisor, and the process that cleans up after it.

    Raises:
        PreflightError: `home` is not a folder that we may write to, or another `up` holds it.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.geteuid() != 0 and home.stat().st_uid not in (0, os.geteuid()):
            raise PreflightError(f"home {home}: belongs to another user: set OPTIINFRA_HOME to a folder of your own")
        file = home_folder.open_lock(home)
    except OSError as error:
        raise PreflightError(
            f"home {home}: {error.strerror}: make it a folder you may write to, or set OPTIINFRA_HOME to another one"
        ) from error
    with file:
        deadline = time.monotonic() + LONGEST_CLEANUP
        while (holder := home_folder.try_lock(file)) is not None:
            if processes.is_running(holder) or time.monotonic() > deadline:
                raise PreflightError(
                    f"home {home}: already served by process {holder or 'unknown'}: "
                    "stop that one, or set OPTIINFRA_HOME to another folder"
                )
            time.sleep(0.02)
        file.truncate(0)
        file.write(f"{os.getpid()}\n")
        file.flush()
        home_folder.tighten(home)
        yield


def check_disk(home: Path) -> None:
    """Refuse to start on a disk that is full or nearly so.

    Raises:
        PreflightError: less than `LEAST_FREE_BYTES` are free.
    """
    free = shutil.disk_usage(home).free
    if free < LEAST_FREE_BYTES:
        raise PreflightError(
            f"home {home}: its disk has {free // 1_000_000} MB free and {LEAST_FREE_BYTES // 1_000_000} MB are needed: "
            "free some space, or set OPTIINFRA_HOME to another disk"
        )


def port_is_free(host: str, port: int) -> bool:
    """Whether this process could listen on `host`:`port` now.

    Raises:
        PreflightError: `host` is not an address of this machine, so no port is possible.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno in (errno.EADDRINUSE, errno.EACCES):
                return False
            raise PreflightError(
                f"OPTIINFRA_BIND_HOST: {host!r} is not an address of this machine ({error.strerror}): "
                "use one that it has, such as 127.0.0.1, or 0.0.0.0 for all of them"
            ) from None
    return True


def check_port(host: str, port: int, setting: str) -> None:
    """Refuse to start on a port that another process listens on.

    Raises:
        PreflightError: names the port, its holder if we may know it, and the `setting` that changes it; or says that `host` is not ours.
    """
    if not port_is_free(host, port):
        holder = _listener(port)
        raise PreflightError(
            f"port {port} is taken{f' by {holder}' if holder else ''}: free it, or set {setting} to another port"
        )


def _listener(port: int) -> str | None:
    with contextlib.suppress(psutil.Error):
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port and connection.pid:
                return f"process {connection.pid} ({psutil.Process(connection.pid).name()})"
    return None


def free_port(host: str) -> int:
    """Return a port of `host` that no process listens on."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])
