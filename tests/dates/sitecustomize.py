"""Loaded by every Python process of `make test-dates`: since Python 3.11 `time.sleep` makes a system call that libfaketime 0.9.10 fails."""

import select
import time


def _sleep(seconds: float) -> None:
    select.select((), (), (), seconds)


time.sleep = _sleep
