"""Ties our servers to the process that started them, so that no server outlives it, whatever kills it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence

import psutil  # type: ignore[import-untyped]

SUPERVISOR = "OPTIINFRA_SUPERVISOR"
"""Environment variable of every process that a supervisor starts, directly or not: ``<home>:<pid of the supervisor>``."""

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def tie_to_parent(deadly: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn`: the child gets `deadly` as soon as the thread that started it ends, even by kill -9.

    Start such children from a thread that lives as long as they should: Linux checks the thread, not the process
    (prctl(2), PR_SET_PDEATHSIG). On other systems the function only clears the signal mask.
    """
    parent = os.getpid()

    def apply() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        if sys.platform == "linux":
            _libc.prctl(_PR_SET_PDEATHSIG, deadly)
            if os.getppid() != parent:
                os._exit(1)

    return apply


def find(wanted: Callable[[psutil.Process], bool]) -> list[psutil.Process]:
    """Return every other running process that `wanted` selects; skips those that it may not read or that end meanwhile."""
    found = []
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error, OSError):
            # A zombie is dead but not reaped: in a container often no process reaps it.
            if process.pid != os.getpid() and process.status() != psutil.STATUS_ZOMBIE and wanted(process):
                found.append(process)
    return found


def end_all(wanted: Callable[[psutil.Process], bool], signals: Sequence[signal.Signals], seconds: float) -> int:
    """Send each of `signals` in turn to every process that `wanted` selects, until none is left.

    Waits up to `seconds` after each signal.

    Returns:
        The number of processes at first.
    """
    first = left = find(wanted)
    for number in signals:
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:
            time.sleep(0.02)
            left = find(wanted)
    return len(first)


def end_group(group: int, seconds: float = 5) -> None:
    """End the rest of process group `group`, with SIGTERM first and then SIGKILL."""
    end_all(lambda process: os.getpgid(process.pid) == group, [signal.SIGTERM, signal.SIGKILL], seconds)


def end_supervised(home: str, *, supervisor: int | None = None, but_not: int | None = None, seconds: float = 4) -> int:
    """End every process that a supervisor of `home` started: of the supervisor with pid `supervisor`, or of all except `but_not`.

    Returns:
        The number of processes.
    """

    def is_left(process: psutil.Process) -> bool:
        owner, _, pid = process.environ().get(SUPERVISOR, "").rpartition(":")
        if owner != home:
            return False
        return int(pid) == supervisor if supervisor else int(pid) != but_not

    return end_all(is_left, [signal.SIGTERM, signal.SIGKILL], seconds)
