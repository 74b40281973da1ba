"""Ends everything that a supervisor started once that supervisor is gone, even by kill -9: ``... HOME SUPERVISOR_PID < pipe``.

Standard input is a pipe that only the supervisor holds. The supervisor writes ``done`` before a clean end; otherwise it has died.
The kernel signals the supervisor's death to its own children (PR_SET_PDEATHSIG), but not to their children: Dagster's run workers.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path


def main(home: str, supervisor: int) -> None:
    """Wait for the end of the supervisor of `home` and clean up after it unless it has done so itself."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.read().strip() == "done":
        return
    # Import only now: in the months before, this process takes 10 MB instead of 40 MB.
    from optiinfra_assets.embedded import runtime_file
    from optiinfra_assets.embedded.processes import end_supervised

    end_supervised(home, supervisor=supervisor)
    runtime_file.remove(Path(home), of=supervisor)


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
