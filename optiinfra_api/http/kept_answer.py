"""Keeps one answer for some seconds, for all who ask: however many ask at once, one question is under way."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class KeptAnswer(Generic[_T]):
    """An answer, or the error there was instead. Belongs to one event loop.

    Args:
        ask: asks anew.
        seconds: how long an answer is kept.
        clock: returns seconds of a monotonic clock.
    """

    def __init__(
        self, ask: Callable[[], Awaitable[_T]], seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._ask = ask
        self._seconds = seconds
        self._clock = clock
        self._asking: asyncio.Task[_T] | None = None
        self._until = 0.0

    async def __call__(self) -> _T:
        """Return the kept answer, or a new one if that is too old; raise what asking raised. Goes on when a caller is cancelled."""
        if self._asking is None or (self._asking.done() and self._clock() >= self._until):
            self._asking = asyncio.create_task(self._anew())
        return await asyncio.shield(self._asking)

    async def _anew(self) -> _T:
        try:
            return await self._ask()
        finally:
            self._until = self._clock() + self._seconds
