"""Tells whether anything was heard of a customer since an earlier moment, so that a reader need not ask the databases.

PostgreSQL tells at once when an attempt to publish begins or ends, and when the freshness of an account moves, see the migration
``0050_news.sql``; and when rates between currencies change. While no connection brings that news, nobody is told that there is none.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress
from typing import Final

from optiinfra_assets.database.listening import Listener

PUBLICATIONS: Final = "optiinfra_publications"
FRESHNESS: Final = "optiinfra_freshness"
RATES: Final = "optiinfra_rates"
"""Of the customer ''; with another one, of what is its own."""

Stamp = tuple[int, int]
"""A moment, as far as one customer and one subject are concerned: equal stamps mean that nothing was heard in between."""


class News:
    """What was heard of the customers in this process. Belongs to one event loop."""

    def __init__(self, url: str) -> None:
        """`url` is that of the database that tells."""
        self._heard: Counter[tuple[str, str]] = Counter()
        self._listener = Listener(url, (PUBLICATIONS, FRESHNESS, RATES), self._hear)
        self._task: asyncio.Task[None] | None = None

    def _hear(self, subject: str, customer_id: str) -> None:
        self._heard[subject, customer_id] += 1

    def begin(self) -> None:
        """Begin to listen, in the running event loop."""
        self._task = asyncio.create_task(self._listener.listen())

    async def close(self) -> None:
        """Stop listening."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def stamp(self, subject: str, customer_id: str, late: float = 0.0) -> Stamp | None:
        """Return a stamp that counts all that was committed to PostgreSQL before this was called, but for that of the last `late` seconds.

        None: no news come at the moment.
        """
        if not await self._listener.fence_of(late):
            return None
        return self._listener.sessions, self._heard[subject, customer_id]
