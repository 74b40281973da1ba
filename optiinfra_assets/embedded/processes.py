"""Ties our servers to the process that started them, so that no server outlives it, whatever kills it."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping

import psutil  # type: ignore[import-untyped]

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None, use_errno=True)


def tie_to_parent(deadly: signal.Signals) -> Callable[[], None]:
    """Return a `preexec_fn`: the child gets `deadly` as soon as the thread that started it ends, even by kill -9.

    Start such children from a thread that lives as long as they should: Linux checks the thread, not the process
    (prctl(2), PR_SET_PDEATHSIG). On other systems the function only resets how signals are taken.
    """
    parent = os.getpid()

    def apply() -> None:
        signal.pthread_sigmask(signal.SIG_SETMASK, set())
        for number in (
            signal.SIGINT,
            signal.SIGTERM,
        ):  # ignored signals are inherited; Dagster ignores both if it finds one ignored
            signal.signal(number, signal.SIG_DFL)
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
            if process.pid != os.getpid() and not _is_gone(process) and wanted(process):
                found.append(process)
    return found


def _is_gone(process: psutil.Process) -> bool:
    """Whether `process` holds nothing any more: in a container often no process reaps it.

    While other threads of it are still ending, its files, sockets and locks are open.
    """
    return bool(process.status() == psutil.STATUS_ZOMBIE and process.num_threads() <= 1)


def is_running(pid: int) -> bool:
    """Whether a process with this pid runs and is not about to end."""
    try:
        return bool(psutil.Process(pid).memory_info().vms > 0)
    except psutil.Error:
        return False


def end_all(wanted: Callable[[psutil.Process], bool], signals: Mapping[signal.Signals, float]) -> int:
    """Send each of `signals` in turn to every process that `wanted` selects, until none is left.

    Waits up to that many seconds after each signal.

    Returns:
        The number of processes at first.
    """
    first = left = find(wanted)
    for number, seconds in signals.items():
        for process in left:
            with contextlib.suppress(psutil.Error):
                process.send_signal(number)
        deadline = time.monotonic() + seconds
        while left and time.monotonic() < deadline:
            time.sleep(0.02)
            left = find(wanted)
    return len(first)
