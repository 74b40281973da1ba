"""What was asked of a provider and what it charges for that, also when the asking came to nothing."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal


@dataclass(slots=True)
class Meter:
    """Requests and their price, in USD. Refused and repeated requests count: they were made.

    Attributes:
        price: of one request.
        within: counts along, for a sum over several meters.
    """

    price: Decimal = Decimal(0)
    within: Meter | None = None
    requests: int = 0
    cost: Decimal = Decimal(0)

    def count(self) -> None:
        """Count one request; to be called before it is sent."""
        self._add(1, self.price)

    def charge(self, amount: Decimal) -> None:
        """Add what the provider charges for a request beyond `price`, where only its answer tells."""
        self._add(0, amount)

    def _add(self, requests: int, amount: Decimal) -> None:
        self.requests += requests
        self.cost += amount
        if self.within is not None:
            self.within._add(requests, amount)
