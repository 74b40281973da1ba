"""Serves our definitions to Dagster with the options of ``dagster api grpc``, and starts each run as a copy of a loaded process.

Dagster starts a new interpreter for each run, which imports for 3 s of CPU before it reads a line item. A copy begins at once. It is
made by a process that does nothing else: one with threads, as the server of calls, cannot be copied safely. That process is a copy
itself, of the server before it has threads: so the definitions are loaded once, and lie in memory once, 100 MB of them.
"""

from __future__ import annotations

import gc
import importlib
import itertools
import multiprocessing
import os
import tempfile
import threading
import traceback
from collections.abc import Sequence
from multiprocessing import forkserver, resource_tracker, util
from typing import Any, Final

from dagster._cli.api import grpc_command
from dagster._grpc import server

_LOADED: Final = (
    "dagster._grpc.impl",
    "dagster_postgres",
    "optiinfra_assets.definitions",
    "optiinfra_assets.dagster_processes.run_launcher",
    "optiinfra_assets.dagster_processes.storage",
)
"""What a run needs before it begins."""

_LONGEST: Final = 107 - len("/pymp-12345678/listener-12345678")
"""Bytes that the path of the folder for temporary files may have: the process that makes copies listens on a socket below it, and the path
of a socket has at most 107 (unix(7))."""


class CodeLocationServer(server.DagsterApiServer):
    """Dagster's server of a code location, whose runs are copies of a loaded process; in a folder with a long path, new interpreters."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._mp_ctx = _copying() or self._mp_ctx


def _copying() -> Any:
    """What starts processes as copies of one that has loaded what a run needs; None if its socket can lie nowhere."""
    if len(os.fsencode(tempfile.gettempdir())) > _LONGEST:
        return None
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_LOADED))
    return context


def start_copier() -> None:
    """Load what a run needs and start the process that makes copies, as a copy of this one, which has no threads yet.

    If something cannot be loaded, nothing is started: the server tells why, and its first run starts that process.
    """
    if _copying() is None:
        return
    try:
        for name in _LOADED:
            importlib.import_module(name)
    except Exception:  # noqa: BLE001 - whatever the definitions raise
        return
    resource_tracker.ensure_running()  # started in the same way, but not to be a copy
    gc.freeze()  # looking for garbage would write to the pages that all copies share
    starting: Any = util
    new_interpreter, starting.spawnv_passfds = starting.spawnv_passfds, _copy_of_this
    try:
        forkserver.ensure_running()
    finally:
        starting.spawnv_passfds = new_interpreter


def _copy_of_this(_: bytes, arguments: Sequence[Any], descriptors: Sequence[int]) -> int:
    """Run what ``multiprocessing.forkserver`` would run in a new interpreter, in a copy of this process; return its id."""
    pid = os.fork()
    if pid:
        return pid
    try:
        _forget_parent({0, 1, 2, *descriptors})
        exec(arguments[-1], {})  # noqa: S102 - the statement of the standard library
    except SystemExit:
        os._exit(0)
    except BaseException:  # noqa: BLE001 - this process must not go on as the server
        traceback.print_exc()
    os._exit(1)


def _forget_parent(kept: set[int]) -> None:
    """Close what the parent has open: it is known to have ended by the end of a pipe. Forget its locks, one of which is held now."""
    bounds = [*sorted(kept), os.sysconf("SC_OPEN_MAX")]
    for before, after in itertools.pairwise(bounds):
        if after - before > 1:  # of an empty range that begins at 0, Python 3.11 closes all there are
            os.closerange(before + 1, after)
    copier: Any = forkserver._forkserver
    copier._lock = threading.Lock()
    tracker: Any = resource_tracker._resource_tracker
    tracker._fd = tracker._pid = None


def main() -> None:
    """Serve until a signal ends it."""
    start_copier()
    server.DagsterApiServer = CodeLocationServer  # type: ignore[misc]  # the command makes one of that name
    grpc_command(prog_name="optiinfra code location")


if __name__ == "__main__":
    main()
