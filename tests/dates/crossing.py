"""What moves the clock of a pytest process, and of all that it starts, over a midnight UTC; a plugin of `make test-dates`.

The clock only ever goes forward: over the end of the year, ``new-year``, a little after the first test began; over that of the day,
``midnight``, half a second after every test began. Only for this do all processes read a file at every look at the clock: 0.03 ms.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final

import pytest

BEFORE_THE_YEAR_ENDS: Final = timedelta(seconds=20)
"""The first test, and the start of its servers, takes some seconds."""

BEFORE_MIDNIGHT: Final = timedelta(seconds=0.5)

_MODE = os.environ.get("OPTIINFRA_TEST_CROSSING", "")
_FILE = "FAKETIME_TIMESTAMP_FILE"


def clock(mode: str, offset: timedelta, folder: Path) -> Mapping[str, str]:
    """The variables for libfaketime that move the clock by `offset`; `folder` is for the file, where there is one."""
    moved = f"{offset.total_seconds():+.3f}"
    if mode != "midnight":
        again = {"FAKETIME_NO_CACHE": "1", "OPTIINFRA_TEST_CROSSING": mode} if mode == "new-year" else {}
        return {"FAKETIME": moved, **again}
    folder.chmod(0o755)  # PostgreSQL may be another user
    file = folder / "offset"
    file.write_text(moved)
    return {_FILE: str(file), "FAKETIME_NO_CACHE": "1", "OPTIINFRA_TEST_CROSSING": mode}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Move this worker to the end of the year, or give it a file of its own, before it starts servers."""
    if not session.items:
        return
    if _MODE == "new-year":
        now = datetime.now(UTC)
        ahead = datetime(now.year + 1, 1, 1, tzinfo=UTC) - BEFORE_THE_YEAR_ENDS - now
        os.environ["FAKETIME"] = f"{float(os.environ['FAKETIME']) + ahead.total_seconds():+.3f}"
        del os.environ["FAKETIME_NO_CACHE"]
    elif _MODE == "midnight":
        shared = Path(os.environ[_FILE])
        own = shared.with_name(f"{shared.name}-{os.getpid()}")
        own.write_text(shared.read_text())
        os.environ[_FILE] = str(own)


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_setup(item: pytest.Item) -> None:
    """Begin a test shortly before a midnight."""
    if _MODE != "midnight":
        return
    now = datetime.now(UTC)
    midnight = datetime(now.year, now.month, now.day, tzinfo=UTC) + timedelta(days=1)
    file = Path(os.environ[_FILE])
    written = file.with_suffix(".new")  # whoever reads it meanwhile reads the old offset or the new one
    ahead = midnight - BEFORE_MIDNIGHT - now
    written.write_text(f"{float(file.read_text()) + ahead.total_seconds():+.3f}")
    written.rename(file)
    assert time.time() < midnight.timestamp(), item.nodeid
