"""The suite, or a part of it, on days on which a suite may fail: ``python tests/dates [--day NAME ...] [what pytest takes ...]``.

libfaketime moves the clock of every process by the same span and lets it go on; time-outs stay those of the real clock. ClickHouse reads
its clock past the C library and so keeps the real one, as a server elsewhere might: no statement of ours asks it for the time.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import crossing

HERE: Final = Path(__file__).resolve().parent
PLACES: Final = (
    "/usr/lib/*/faketime",
    "/usr/lib/faketime",
    "/usr/local/lib/faketime",
    "/opt/homebrew/lib/faketime",
)
DAYS: Final = {
    "first-minutes": datetime(2027, 5, 1, 0, 5, tzinfo=UTC),
    "1st": datetime(2027, 3, 1, 12, tzinfo=UTC),
    "28th": datetime(2027, 2, 28, 12, tzinfo=UTC),
    "29th": datetime(2027, 1, 29, 12, tzinfo=UTC),
    "30th": datetime(2027, 4, 30, 12, tzinfo=UTC),
    "31st": datetime(2027, 3, 31, 12, tzinfo=UTC),
    "29-february": datetime(2028, 2, 29, 12, tzinfo=UTC),
    "new-year": datetime(2027, 1, 1, tzinfo=UTC),
    "midnight": datetime(2027, 6, 1, tzinfo=UTC),
}
"""All after the days that the tests' own data are of. In the first minutes of a month no cloud has invoiced the last one. For the last two
see `crossing`."""


def main() -> int:
    """Run pytest once for each day; 1 if any of them failed."""
    parser = argparse.ArgumentParser(prog="make test-dates", description=__doc__)
    parser.add_argument("--day", action="append", choices=DAYS)
    chosen, rest = parser.parse_known_args()
    library = _library()
    if library is None:
        sys.exit("libfaketime is not installed: Debian and Ubuntu have it as the package faketime")
    failed = [name for name in chosen.day or DAYS if not _passes(name, library, rest)]
    print(f"failed: {', '.join(failed)}" if failed else "passed on every day")  # noqa: T201
    return bool(failed)


def _library() -> Path | None:
    """The build for programs with threads."""
    folders = (folder for place in PLACES for folder in Path("/").glob(place.lstrip("/")))
    return next((found for folder in folders for found in folder.glob("libfaketimeMT*")), None)


def _passes(name: str, library: Path, rest: list[str]) -> bool:
    moment = DAYS[name]
    print(f"\n=== {name}: {moment:%Y-%m-%d %H:%M} UTC", flush=True)  # noqa: T201
    with tempfile.TemporaryDirectory(prefix="optiinfra-dates-") as folder:
        environment = {
            **os.environ,
            "LD_PRELOAD": str(library),
            "DYLD_INSERT_LIBRARIES": str(library),
            "DONT_FAKE_MONOTONIC": "1",
            "PYTHONPATH": os.pathsep.join(filter(None, [str(HERE), os.environ.get("PYTHONPATH")])),
            **crossing.clock(name, moment - datetime.now(UTC), Path(folder)),
        }
        command = [sys.executable, "-m", "pytest", "-p", "crossing", *rest]
        return subprocess.run(command, env=environment).returncode == 0


if __name__ == "__main__":
    sys.exit(main())
