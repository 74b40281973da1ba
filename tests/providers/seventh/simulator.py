"""Simulator of Nimbus: three endpoints, pages, a bearer token, and error messages of its own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, ClassVar, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.server.server import SimulatedRequest, SimulatedResponse
from optiinfra_assets.simulators.world.scenario import Charge
from optiinfra_assets.simulators.world.world import CENT

CATEGORIES: Final = {
    "usage": "Usage",
    "purchase": "Purchase",
    "tax": "Tax",
    "credit": "Credit",
    "refund": "Usage",
}


class SimulatedNimbus(SimulatedAccount):
    """One simulated account."""

    provider = "nimbus"
    rules: ClassVar = {"currency": "EUR"}
    quantum = CENT
    renamed_field = "amount"
    lacking_permission = "costs:read"

    def secrets(self) -> dict[str, str]:
        """Return the token."""
        return {"token": self.secret}

    def shown_amount(self, period: BillingPeriod) -> Decimal:
        """Sum the whole days that Nimbus shows now."""
        return sum((charge.amount for charge in self.world.charges(period)), Decimal(0))

    def answer(self, request: SimulatedRequest) -> SimulatedResponse:
        """Answer one request as the invented API does."""
        if self.refuses(request):
            return SimulatedResponse.of({"error": "who are you?"}, status=401)
        parts = request.path.strip("/").split("/")
        if parts == ["account"]:
            return SimulatedResponse.of({"name": f"{self.world.scenario.name} (simulated)"})
        if self.lacks_permission:
            return SimulatedResponse.of({"error": "no"}, status=403)
        if parts == ["months"]:
            return SimulatedResponse.of({"months": [self._month(period) for period in self.world.periods()]})
        if parts[0] == "months":
            return self._lines(BillingPeriod.parse(parts[1]), request)
        return SimulatedResponse.of({"error": "nothing here"}, status=404)

    def _is_closed(self, period: BillingPeriod) -> bool:
        return self.world.invoice(period) is not None

    def _month(self, period: BillingPeriod) -> dict[str, Any]:
        digest = hashlib.sha256(repr(self._charges(period)).encode()).hexdigest()
        return {
            "month": str(period),
            "version": digest[:12],
            "status": "closed" if self._is_closed(period) else "open",
            "amount": self.amount(period),
            "currency": self.currency,
        }

    def _charges(self, period: BillingPeriod) -> list[Charge]:
        invoiced = self.world.invoice(period)
        return self.world.charges(period) if invoiced is None else invoiced

    def _lines(self, period: BillingPeriod, request: SimulatedRequest) -> SimulatedResponse:
        lines = [line for charge in self._charges(period) for line in self._items(charge)]
        extra = self.extra_items if self._is_closed(period) else 0
        total = len(lines) + extra
        begin = 0 if self.repeats_pages else int(request.query.get("cursor") or 0)
        end = min(begin + self.page_size, total)
        more = [self._line(period.start, self.world.quantum) for _ in range(max(begin, len(lines)), end)]
        return SimulatedResponse.of(
            {"lines": lines[begin:end] + more, "next": str(end) if end < total else "", "total": total}
        )

    def _items(self, charge: Charge) -> Iterator[dict[str, Any]]:
        amounts = [charge.amount]
        if self.duplicates_lines:
            half = (charge.amount / 2).quantize(self.world.quantum)
            amounts = [half, charge.amount - half]
        for amount in amounts:
            line = self._line(charge.day, amount)
            line |= {"category": CATEGORIES[charge.kind], "text": charge.description}
            if charge.resource:
                line |= {"service": charge.resource.service, "resource": charge.resource.resource_id}
            yield line

    def _line(self, day: date, amount: Decimal) -> dict[str, Any]:
        return {
            "day": f"{day:%Y-%m-%d}",
            "service": "other",
            "resource": None,
            "category": "Usage",
            "text": "other",
            "amount": amount,
            "currency": self.currency,
        }
