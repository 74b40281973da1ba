"""Runs a piece of work once for all callers that ask at the same time; a caller that comes while it runs waits for the next run.

So each caller gets what was found after it asked, as if it had asked alone, and callers that ask within `PATIENCE` share a run.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

PATIENCE = 0.01
"""Seconds that a run waits for the one before it, so that a slow or hanging run delays nobody for longer."""

_T = TypeVar("_T")


class SingleFlight(Generic[_T]):
    """Shared runs of work, by key. Belongs to one event loop."""

    def __init__(self) -> None:
        self._running: dict[str, asyncio.Task[_T]] = {}
        self._waiting: dict[str, asyncio.Task[_T]] = {}

    async def found(self, key: str, work: Callable[[], Awaitable[_T]]) -> _T:
        """Return what `work` for `key` finds in a run that begins from now on, and raise what it raises.

        A run goes on when one of its callers is cancelled, because others may wait for it.
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
