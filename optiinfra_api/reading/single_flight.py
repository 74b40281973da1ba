"""One piece of work for all who ask for it at one time: who comes while a round of it runs waits for the next one.

So each is told what was found after it asked, as if it had asked alone, and those who ask within `PATIENCE` share a round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

PATIENCE = 0.01
"""Seconds that a round waits for the one before: one that is slow or hangs holds nobody up for longer."""

_T = TypeVar("_T")


class SingleFlight(Generic[_T]):
    """Rounds of work, by whom or what it is about. For one event loop."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[_T]] = {}
        self._waiting: dict[str, asyncio.Task[_T]] = {}

    async def found(self, key: str, work: Callable[[], Awaitable[_T]]) -> _T:
        """What `work` about `key` finds in a round that begins from now on; raises what it raises.

        A round goes on when one who waits for it is cancelled, since others may wait, too.
        """
        if key not in self._waiting:
            self._waiting[key] = asyncio.create_task(self._round(key, work))
        return await asyncio.shield(self._waiting[key])

    async def _round(self, key: str, work: Callable[[], Awaitable[_T]]) -> _T:
        before = self._running.get(key)
        if before is not None:
            await asyncio.wait((before,), timeout=PATIENCE)
        own = self._running[key] = self._waiting.pop(key)
        try:
            return await work()
        finally:
            if self._running.get(key) is own:
                del self._running[key]
