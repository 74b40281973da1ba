"""Remembers which processes a supervisor started, in ``OPTIINFRA_HOME/sessions.json``, so that they can be ended after its death.

Each service leads a session of its own (setsid(2)), and what it starts stays in that session. No other process can enter it. So a process
is ours if it is in a session that we wrote down, has our user, and has our marker in its environment. No one of the three suffices: an
environment is inherited and copied, and the number of a session is given again once the session is empty.
"""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Collection
from pathlib import Path
from signal import SIGKILL, SIGTERM

import psutil  # type: ignore[import-untyped]

from optiinfra_assets.embedded.errors import PreflightError
from optiinfra_assets.embedded.postgres.server_user import NUMBERS
from optiinfra_assets.embedded.private_files import private_opener
from optiinfra_assets.embedded.processes import end_all
from optiinfra_assets.settings import SUPERVISOR_MARKER

MARKER = SUPERVISOR_MARKER
"""Environment variable of every process that a supervisor starts, directly or not: ``<home>:<pid of the supervisor>``."""
_FILE = "sessions.json"


def marker(home: Path, supervisor: int) -> str:
    """Return the value of `MARKER`."""
    return f"{home}:{supervisor}"


class StartedSessions:
    """The sessions that this process started as the supervisor of `home`, each by the pid of its leader. Safe for several threads."""

    def __init__(self, home: Path) -> None:
        self.marker = marker(home, os.getpid())
        self._path = home / _FILE
        self._leaders: set[int] = set()
        self._lock = threading.Lock()

    def add(self, leader: int) -> None:
        """Remember a session that has just begun."""
        with self._lock:
            self._leaders.add(leader)
            self._write()

    def end(self, leader: int) -> None:
        """End what is left of a session."""
        _end({leader}, self.marker)
        with self._lock:
            self._leaders.discard(leader)
            self._write()

    def end_all(self) -> None:
        """End what is left of every session."""
        _end(self._leaders, self.marker)
        self._path.unlink(missing_ok=True)

    def _write(self) -> None:
        fresh = self._path.with_name(f"{_FILE}.new")
        # On a full disk the services go on; only what they leave behind after a kill would not be found.
        with contextlib.suppress(OSError):
            with open(fresh, "w", opener=private_opener) as file:
                json.dump({"marker": self.marker, "leaders": sorted(self._leaders)}, file)
            fresh.replace(self._path)


def end_left(home: Path) -> None:
    """End every process that an earlier supervisor of `home` left. The caller holds the lock of `home`.

    Raises:
        PreflightError: another version wrote the file in a form that this one does not know; nothing was changed.
    """
    path = home / _FILE
    with contextlib.suppress(FileNotFoundError, ValueError):  # a power cut may leave it empty
        _end(*_read(path))
    path.unlink(missing_ok=True)


def _read(path: Path) -> tuple[list[int], str]:
    match json.loads(path.read_text()):
        case {"marker": str(said), "leaders": list(leaders)} if all(type(one) is int for one in leaders):
            return leaders, said
    raise PreflightError(
        f"{path}: written by a newer version of OptiInfra: start that version here and stop it, "
        "or end the processes that it left and remove the file"
    )


def _end(leaders: Collection[int], said: str) -> None:
    # A code location takes 10 to 20 s after SIGTERM. The kernel takes seconds to free an engine's gigabytes after SIGKILL.
    end_all(lambda process: _is_member(process, leaders, said), {SIGTERM: 4, SIGKILL: 30})


def _is_member(process: psutil.Process, leaders: Collection[int], said: str) -> bool:
    # The database server of root has a number that nobody else has.
    ours = {os.geteuid(), *(NUMBERS if os.geteuid() == 0 else ())}
    if os.getsid(process.pid) not in leaders or process.uids().real not in ours:
        return False
    # A process that is ending has no memory any more, so no environment, but may still hold its sockets and locks.
    return bool(process.memory_info().vms == 0 or process.environ().get(MARKER) == said)
