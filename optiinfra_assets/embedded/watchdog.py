"""Ends everything that a supervisor started once that supervisor is gone, even by kill -9: ``... HOME SUPERVISOR_PID < pipe``.

Standard input is a pipe that only the supervisor holds. The supervisor writes ``done`` before a clean end; otherwise it has died.
The kernel signals the supervisor's death to its own children (PR_SET_PDEATHSIG), but not to their children: Dagster's run workers.
"""

from __future__ import annotations

import signal
import sys
import time
from pathlib import Path


def main(home: Path, supervisor: int) -> None:
    """Wait for the end of the supervisor of `home` and clean up after it unless it has done so itself."""
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    if sys.stdin.read().strip() == "done":
        return
    # Import only now: in the months before, this process takes 10 MB instead of 40 MB.
    from optiinfra_assets.embedded import home_folder, runtime_file, sessions

    with home_folder.open_lock(home) as lock:
        while (holder := home_folder.try_lock(lock)) is not None:
            if holder != supervisor:
                return  # the next supervisor was faster, and cleans up itself
            time.sleep(0.02)
        sessions.end_left(home)
        runtime_file.remove(home)
        home_folder.clear(home)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
