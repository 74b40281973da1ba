"""Serves our definitions to Dagster with the options of ``dagster api grpc``, and starts each run as a copy of a loaded process.

Dagster starts a new interpreter for each run, which imports for 3 s of CPU before it reads a line item. A copy begins at once. It is
made by a process that does nothing else: one with threads, as the server of calls, cannot be copied safely.
"""

from __future__ import annotations

import multiprocessing
import os
import tempfile
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
"""What a run needs before it begins; loaded when the first run is started."""

_LONGEST: Final = 107 - len("/pymp-12345678/listener-12345678")
"""Bytes that the path of the folder for temporary files may have: the process that makes copies listens on a socket below it, and the path
of a socket has at most 107 (unix(7))."""


class CodeLocationServer(server.DagsterApiServer):
    """Dagster's server of a code location, whose runs are copies of a loaded process; in a folder with a long path, new interpreters."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if len(os.fsencode(tempfile.gettempdir())) > _LONGEST:
            return
        copying = multiprocessing.get_context("forkserver")
        copying.set_forkserver_preload(list(_LOADED))
        self._mp_ctx = copying  # type: ignore[assignment]


def main() -> None:
    """Serve until a signal ends it."""
    server.DagsterApiServer = CodeLocationServer  # type: ignore[misc]  # the command makes one of that name
    grpc_command(prog_name="optiinfra code location")


if __name__ == "__main__":
    main()
