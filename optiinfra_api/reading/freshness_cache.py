"""Caches the freshness of customers' accounts, which PostgreSQL is asked for at most once a second for each customer.

Freshness says how far an answer reaches, not what the costs are, and probes come every 15 minutes: one second late is soon enough.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from functools import partial

from cachetools import LRUCache

from optiinfra_api.reading.single_flight import SingleFlight
from optiinfra_assets.domain.freshness import Freshness

SECONDS = 1.0
_CUSTOMERS = 1000


class FreshnessCache:
    """The freshness of the 1,000 customers asked about last. Belongs to one event loop."""

    def __init__(self, read: Callable[[str], Awaitable[Freshness]]) -> None:
        """`read` returns the freshness of a customer's accounts."""
        self._read = read
        self._known: LRUCache[str, tuple[float, Freshness]] = LRUCache(_CUSTOMERS)
        self._rounds: SingleFlight[Freshness] = SingleFlight()

    async def of(self, customer_id: str) -> Freshness:
        """Return the freshness of a customer's accounts, at most a second old; the same object while nothing changes.

        Raises:
            MetadataUnavailable: PostgreSQL does not answer.
        """
        known = self._known.get(customer_id)
        if known is not None and time.monotonic() - known[0] < SECONDS:
            return known[1]
        return await self._rounds.found(customer_id, partial(self._again, customer_id))

    async def _again(self, customer_id: str) -> Freshness:
        now, standing = time.monotonic(), await self._read(customer_id)
        known = self._known.get(customer_id)
        if known is not None and known[1] == standing:
            standing = known[1]
        self._known[customer_id] = now, standing
        return standing
