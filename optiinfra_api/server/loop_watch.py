"""Ends a process whose event loop runs no more, so that whoever started it starts another.

uvicorn's parent asks a thread of each worker whether it lives, and that thread answers also while the event loop hangs and no client is
answered. A client's connection to such a worker is accepted by the kernel, so nobody else notices either.
"""

from __future__ import annotations

import asyncio
import faulthandler
import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

LOG = logging.getLogger("optiinfra_api")
TICK_SECONDS = 1.0
MISSED_TICKS = 60
"""After so many ticks in a row without a turn of the loop the process ends. It counts ticks and not what the clock shows: after an hour
in which a laptop slept, or the process was stopped, no more than one tick is missed."""

EXIT_CODE = 70


@contextmanager
def watched(loop: asyncio.AbstractEventLoop, tick: float = TICK_SECONDS, most: int = MISSED_TICKS) -> Iterator[None]:
    """Watch `loop` for as long as the context lasts; end this process with `EXIT_CODE` if the loop hangs."""
    stopped = threading.Event()
    threading.Thread(target=_watch, args=(loop, stopped, tick, most), daemon=True, name="loop-watch").start()
    try:
        yield
    finally:
        stopped.set()


def _watch(loop: asyncio.AbstractEventLoop, stopped: threading.Event, tick: float, most: int) -> None:
    turned = threading.Event()
    turned.set()
    missed = 0
    while not stopped.wait(tick):
        if turned.is_set():
            missed = 0
            turned.clear()
            try:
                loop.call_soon_threadsafe(turned.set)
            except RuntimeError:
                return  # the loop is closed
            continue
        missed += 1
        if missed >= most:
            LOG.critical(
                "the event loop has had no turn for %.0f s: this process ends so that another takes its place",
                missed * tick,
            )
            faulthandler.dump_traceback()
            os._exit(EXIT_CODE)
