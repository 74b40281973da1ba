"""Threads for functions that wait for hosts which customers name: a host may answer slowly, and that is no other customer's loss."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, TypeVar

_T = TypeVar("_T")


class CustomerThreads:
    """Runs blocking functions in threads of their own, a few of each customer at a time; the others wait. Belongs to one event loop."""

    def __init__(self, most: int) -> None:
        """`most`: how many functions of one customer run at a time."""
        self._most = most
        self._places: dict[str, asyncio.Semaphore] = {}

    async def run(self, customer_id: str, work: Callable[[], _T]) -> _T:
        """Return what `work` returns. It holds its place until it ends, also if the caller does not wait for that."""
        places = self._places.setdefault(customer_id, asyncio.Semaphore(self._most))
        await places.acquire()
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[_T] = loop.create_future()

        def end(settle: Callable[[Any], None], outcome: object) -> None:
            places.release()
            if not answer.done():
                settle(outcome)

        def call() -> None:
            try:
                ended: tuple[Callable[[Any], None], object] = (answer.set_result, work())
            except Exception as error:  # noqa: BLE001 - raised again where the answer is awaited
                ended = (answer.set_exception, error)
            with suppress(RuntimeError):  # the event loop is closed
                loop.call_soon_threadsafe(end, *ended)

        # A daemon thread: a host that never answers must not keep the process from ending.
        threading.Thread(target=copy_context().run, args=(call,), name="source", daemon=True).start()
        return await answer
