"""Caches the freshness of customers' accounts, which PostgreSQL is asked for once after each news of it; where no news come, at most once a
second for each customer.

Freshness says how far an answer reaches, not what the costs are, and probes come every 15 minutes: one second late is soon enough.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial

from cachetools import LRUCache

from optiinfra_api.reading.news import FRESHNESS, News, Stamp
from optiinfra_api.reading.single_flight import SingleFlight
from optiinfra_assets.domain.freshness import Freshness

SECONDS = 1.0
HEARD_SECONDS = 60.0
"""How long freshness is taken for current while nothing is heard of it."""
_CUSTOMERS = 1000


class FreshnessCache:
    """The freshness of the 1,000 customers asked about last. Belongs to one event loop."""

    def __init__(self, read: Callable[[str], Awaitable[Freshness]], news: News | None = None) -> None:
        """
        Args:
            read: returns the freshness of a customer's accounts.
            news: tells when it moves; None: nothing does.
        """
        self._read = read
        self._news = news
        self._known: LRUCache[str, _Known] = LRUCache(_CUSTOMERS)
        self._rounds: SingleFlight[Freshness] = SingleFlight()

    async def of(self, customer_id: str) -> Freshness:
        """Return the freshness of a customer's accounts, at most a second old; the same object while nothing changes.

        Raises:
            MetadataUnavailable: PostgreSQL does not answer.
        """
        stamp = None if self._news is None else await self._news.stamp(FRESHNESS, customer_id, SECONDS)
        known = self._known.get(customer_id)
        if known is not None:
            is_unmoved = stamp is not None and stamp == known.stamp
            if time.monotonic() - known.read_at < (HEARD_SECONDS if is_unmoved else SECONDS):
                return known.standing
        return await self._rounds.found(customer_id, partial(self._again, customer_id, stamp))

    async def _again(self, customer_id: str, stamp: Stamp | None) -> Freshness:
        now, standing = time.monotonic(), await self._read(customer_id)
        known = self._known.get(customer_id)
        if known is not None and known.standing == standing:
            standing = known.standing
        self._known[customer_id] = _Known(now, stamp, standing)
        return standing


@dataclass(frozen=True, slots=True)
class _Known:
    """The freshness of one customer's accounts, when it was read, and the news that it counts."""

    read_at: float
    stamp: Stamp | None
    standing: Freshness
