"""Limits failed attempts to authenticate: each client address has a budget, and a smaller one while too many attempts fail overall.

The throttle limits how often the database is asked whether a token is valid. An address that has failed too often is refused before that.
While too many attempts fail overall, every address that has just failed at all is refused. An address without a failure is never refused,
so others cannot lock it out; nor can they lock out a token that was valid before at a shared address. In memory, bounded, per process.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass

ADDRESS_BURST, ADDRESS_PER_SECOND = 60.0, 1.0
OVERALL_BURST, OVERALL_PER_SECOND = 600.0, 10.0

_REMEMBERED = 10_000
_IPV6_NETWORK = 64
"""Prefix length that counts as one client: a customer of a network provider has a whole network of IPv6 addresses."""


@dataclass(slots=True)
class _Budget:
    """A token bucket of failures that are still answered: `burst` at once, then `per_second`."""

    burst: float
    per_second: float
    left: float
    at: float

    def refresh(self, now: float) -> None:
        self.left = min(self.burst, self.left + (now - self.at) * self.per_second)
        self.at = now

    def wait(self, wanted: float) -> int:
        """Whole seconds until `wanted` failures are left, 0 if they are left now."""
        return max(0, math.ceil((wanted - self.left) / self.per_second))


class LoginThrottle:
    """Counts the failed attempts of one process. Not thread-safe: belongs to one event loop.

    Args:
        clock: returns seconds of a monotonic clock.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._overall = _Budget(OVERALL_BURST, OVERALL_PER_SECOND, OVERALL_BURST, clock())
        self._by_address: OrderedDict[str, _Budget] = OrderedDict()

    def wait(self, address: str) -> int:
        """Seconds that a client at `address` has to wait until its attempts are answered again; 0: they are answered now."""
        now = self._clock()
        self._overall.refresh(now)
        budget = self._by_address.get(client_network(address))
        if budget is None:
            return 0
        budget.refresh(now)
        if budget.left >= budget.burst:
            return 0
        wanted = budget.burst if self._overall.left < 1 else 1.0
        return budget.wait(wanted)

    def left(self, address: str) -> tuple[int, int]:
        """Failures that would still be answered at once, from `address` and overall, as of the last `wait` or `count`."""
        budget = self._by_address.get(client_network(address))
        return int(budget.left if budget else ADDRESS_BURST), int(self._overall.left)

    def count(self, address: str) -> None:
        """Count one failed attempt from `address`."""
        now = self._clock()
        key = client_network(address)
        budget = self._by_address.pop(key, None) or _Budget(ADDRESS_BURST, ADDRESS_PER_SECOND, ADDRESS_BURST, now)
        self._by_address[key] = budget
        for one in (budget, self._overall):
            one.refresh(now)
            one.left = max(0.0, one.left - 1)
        if len(self._by_address) > _REMEMBERED:
            self._by_address.popitem(last=False)


def client_network(address: str) -> str:
    """What counts as one client: an IPv4 address, a /64 network of IPv6 addresses, or the text itself if it is neither."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv4Address):
        return str(parsed)
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.ip_network((parsed, _IPV6_NETWORK), strict=False))
