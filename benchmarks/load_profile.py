"""The service under cProfile, and what its profile says, in milliseconds a request.

``python -m benchmarks.load_profile --write FILE --port N`` is ``python -m optiinfra_api --port N`` with one worker, whose event loop is
profiled from the signal `BEGIN` to the signal `END`, so that its start is no part of it.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import signal
import sys
import time
from pathlib import Path

from optiinfra_api.__main__ import main as serve

BEGIN, END = signal.SIGUSR1, signal.SIGUSR2
LINES = 25
_OURS = ("optiinfra_api", "optiinfra_assets")


def show(path: Path, name: str, requests: int) -> None:
    """Print the functions with the most own time, and of our functions those with the most time including their calls.

    Args:
        path: cProfile's file. cProfile measures one thread, that of the event loop, and makes calls slower than they are.
        name: name of the query.
        requests: number of requests.
    """
    while not path.exists():
        time.sleep(0.05)
    found = pstats.Stats(str(path)).stats.items()  # type: ignore[attr-defined]
    own = sorted(found, key=lambda item: item[1][2], reverse=True)
    under = [item for item in found if _is_ours(item[0][0])]
    under.sort(key=lambda item: item[1][3], reverse=True)
    for what, column, lines in (
        ("in the function itself", 2, own),
        ("in the function and what it calls, ours only", 3, under),
    ):
        print(f"\n{name}, {requests} requests: ms a request {what}")
        for where, figures in lines[:LINES]:
            print(f"{figures[column] / requests * 1000:8.3f} {figures[1] / requests:8.1f} calls  {_place(where)}")


def _is_ours(path: str) -> bool:
    return any(part in _OURS for part in Path(path).parts)


def _place(where: tuple[str, int, str]) -> str:
    path, line, function = where
    return f"{'/'.join(Path(path).parts[-2:])}:{line} {function}" if line else function


def main() -> int:
    """Serve, and profile between the two signals."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path, required=True, help="where the profile goes")
    parser.add_argument("--port", required=True)
    options = parser.parse_args()
    # CPU time: on a busy machine the wall clock counts what other processes do.
    profiler = cProfile.Profile(time.thread_time)

    def end(*_: object) -> None:
        profiler.disable()
        unfinished = options.write.with_suffix(".unfinished")
        profiler.dump_stats(unfinished)
        unfinished.replace(options.write)

    signal.signal(BEGIN, lambda *_: profiler.enable())
    signal.signal(END, end)
    return serve(["--port", options.port])


if __name__ == "__main__":
    sys.exit(main())
