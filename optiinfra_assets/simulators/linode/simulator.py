"""Simulates Linode's API v4: account, invoices with items, transfer, instances.

The response formats follow the vendor's reference and the tests of its clients. Where those say nothing, this simulator chooses: the
uninvoiced amount changes every hour and contains no tax, credits, refunds or transfer; those come with the invoice, credits as negative
items. Labels look like ``Linode 4GB - web (47000001)``. It issues invoices when the scenario says so, which is early on the 1st as at the
real Linode (`rules`), and whenever a test calls `issue_invoice`, as the real Linode does past a threshold.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Any, ClassVar, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.server.server import SimulatedRequest, SimulatedResponse
from optiinfra_assets.simulators.world.scenario import Charge, ScenarioResource
from optiinfra_assets.simulators.world.spend import midnight, rounded
from optiinfra_assets.simulators.world.world import CENT, World, grouped

_PRODUCTS: Final = {
    "compute": "Linode 4GB",
    "gpu": "Dedicated 32GB + RTX6000 GPU x1",
    "database": "Managed Database",
    "storage": "Storage Volume",
    "network": "NodeBalancer",
    "backup": "Backup Service - Linode 4GB",
    "transfer": "Network Transfer Overage",
}
_WITH_THE_INVOICE: Final = frozenset({"credit", "refund"})
_FIRST_INVOICE: Final = 20_000_000
_FIRST_ID: Final = 47_000_001
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class _Bill:
    """One invoice: what was charged for `period` after `since` and until `issued_at`; the last one bills all that is left."""

    number: int
    period: BillingPeriod
    since: datetime | None
    issued_at: datetime
    is_last: bool


class SimulatedLinode(SimulatedAccount):
    """One account.

    Attributes:
        scopes: scopes of the token.
        billing_source: who bills the account; for any value but ``linode`` the API has neither invoices nor uninvoiced charges.
        hides_credits: credits and refunds come with the invoice; if False, they lower the uninvoiced amount at once.
    """

    provider = "linode"
    base_path = "/v4"
    rules: ClassVar = {
        "currency": "USD",
        "posting_delay": timedelta(0),
        "invoice_delay": timedelta(minutes=30),
        "capped_hours": 667,
    }
    tells_days = False
    quantum = CENT
    renamed_field = "amount"
    lacking_permission = "account:read_only"

    def __init__(self, world: World, *, secret: str, port: int = 0) -> None:
        super().__init__(world, secret=secret, port=port)
        self.scopes = {"account:read_only", "linodes:read_only"}
        self.billing_source = "linode"
        self.hides_credits = True
        self.page_size = 500
        self._within: list[datetime] = []
        self._made: dict[tuple[_Bill, bool], list[dict[str, Any]]] = {}

    def secrets(self) -> dict[str, str]:
        """Return the personal access token."""
        return {"token": self.secret}

    def issue_invoice(self) -> None:
        """Invoice now all that is uninvoiced, as the cloud does when a threshold is passed."""
        self._within.append(self.world.clock())

    def answer(self, request: SimulatedRequest) -> SimulatedResponse:
        """Answer as documented; without the scope or with another token, return the documented error."""
        path = request.path.removeprefix("/v4/").split("/")
        if self.refuses(request):
            return _error("Invalid Token", 401)
        needed = "linodes:read_only" if path[0] == "linode" else "account:read_only"
        if needed not in self.scopes or (self.lacks_permission and path[0] == "account"):
            return _error("Your OAuth token is not authorized to use this endpoint.", 401)
        match path:
            case ["account"]:
                return self._whole(self._account())
            case ["account", "transfer"]:
                return self._whole(self._transfer())
            case ["linode", "instances"]:
                return self._page(request, self._instances())
            case ["account", "invoices"]:
                return self._page(request, [self._listed(bill) for bill in self._all_bills()])
            case ["account", "invoices", number, "items"]:
                bills = [bill for bill in self._all_bills() if str(bill.number) == number]
                return self._items(request, bills[0]) if bills else _error("Not found", 404)
        return _error("Not found", 404)

    def throttled(self) -> SimulatedResponse:
        """Return the error for too many requests, with the headers that say when the next one is allowed."""
        return _error("Too many requests", 429, {"Retry-After": "2", **self._limits(0)})

    def broken(self) -> SimulatedResponse:
        """Return an internal error."""
        return _error("Internal Server Error", 500)

    def refusal(self, status: int, code: str, said: str) -> SimulatedResponse:
        """Return an error in the format of this API."""
        return _error(said, status)

    def shown_amount(self, period: BillingPeriod) -> Decimal:
        """Return the sum of the invoices issued within a month and of its uninvoiced amount."""
        issued = _sum(self._subtotal(bill) + self._tax(bill) for bill in self._bills(period))
        return issued + self._open_amount(period)

    def uninvoiced(self) -> Decimal:
        """Return what the account owes since the last invoice."""
        return _sum(map(self._open_amount, self._open_periods()))

    def _open_periods(self) -> list[BillingPeriod]:
        now = self.world.clock()
        return [period for period in self.world.periods() if now < self.world.invoiced_at(period)]

    def _open_amount(self, period: BillingPeriod) -> Decimal:
        if period not in self._open_periods() or self.billing_source != "linode":
            return Decimal(0)
        shown = _sum(charge.amount for charge in self._shown(period, self.world.clock()))
        return shown - _sum(map(self._subtotal, self._bills(period)))

    def _shown(self, period: BillingPeriod, now: datetime) -> list[Charge]:
        """Charges that count as uninvoiced at a UTC instant before the last invoice."""
        return [
            charge
            for charge in self.world.accrued(period, now)
            if not (self.hides_credits and charge.kind in _WITH_THE_INVOICE)
            and (charge.resource is None or charge.resource.service != "transfer")
        ]

    def _all_bills(self) -> list[_Bill]:
        """Return the invoices issued so far, oldest first."""
        periods = self.world.periods() if self.billing_source == "linode" else []
        return [bill for period in periods for bill in self._bills(period)]

    def _bills(self, period: BillingPeriod) -> list[_Bill]:
        now = self.world.clock()
        within = sorted(at for at in self._within if period.start <= at < period.end and at <= now)
        number = _FIRST_INVOICE + 100 * (period.year * 12 + period.month)
        since = [None, *within]
        bills = [_Bill(number + n, period, since[n], at, is_last=False) for n, at in enumerate(within)]
        if self.world.invoice(period):
            issued_at = self.world.invoiced_at(period)
            bills.append(_Bill(number + len(within), period, since[-1], issued_at, is_last=True))
        return bills

    def _lines(self, bill: _Bill) -> list[dict[str, Any]]:
        """Return the items of `_make`, without those of `extra_items`. They are made once, because invoices never change."""
        key = (bill, self.duplicates_lines)
        if key not in self._made:
            self._made[key] = self._make(bill)
        return self._made[key]

    def _make(self, bill: _Bill) -> list[dict[str, Any]]:
        before = grouped(self._shown(bill.period, bill.since)) if bill.since else {}
        if bill.is_last:
            charges = [one for one in self.world.invoice(bill.period) or [] if one.kind != "tax"]
        else:
            charges = self._shown(bill.period, bill.issued_at)
        groups = grouped(charges)
        lines = [self._line(group, before.get(key, []), bill) for key, group in groups.items()]
        lines = [line for line in lines if line["amount"]]
        if not self.duplicates_lines:
            return lines
        return [half for line in lines for half in _halves(line, self.world.quantum)]

    def _line(self, group: Sequence[Charge], before: Sequence[Charge], bill: _Bill) -> dict[str, Any]:
        resource = group[0].resource
        amount = _sum(one.amount for one in group) - _sum(one.amount for one in before)
        hours = _sum(one.quantity for one in group) - _sum(one.quantity for one in before)
        first, last = min(one.day for one in group), max(one.day for one in group)
        begin = max(midnight(first), bill.since or midnight(first))
        end = max(min(midnight(last) + timedelta(days=1), bill.issued_at), begin + _SECOND)
        is_running = resource is not None and not group[0].is_correction
        price = resource.hourly_price if resource and is_running else amount
        return {
            "label": self._label(resource) if resource and is_running else group[0].description,
            "type": "hourly" if is_running else "misc",
            "from": _naive(begin),
            "to": _naive(end - _SECOND),
            "quantity": hours.quantize(Decimal(1), ROUND_UP),
            "unit_price": f"{price:f}",
            **self._priced(amount),
            "region": resource.region if resource else None,
        }

    def _priced(self, amount: Decimal) -> dict[str, Decimal]:
        tax = rounded(amount * self.world.scenario.tax_rate, CENT)
        return {"amount": amount, "tax": tax, "total": amount + tax}

    def _label(self, resource: ScenarioResource) -> str:
        product = _PRODUCTS[resource.service]
        return product if resource.service == "transfer" else f"{product} - {resource.name} ({self._id(resource)})"

    def _id(self, resource: ScenarioResource) -> int:
        return _FIRST_ID + self.world.scenario.resources.index(resource)

    def _subtotal(self, bill: _Bill) -> Decimal:
        extra = self.extra_items * self.world.quantum if bill.is_last else Decimal(0)
        return _sum(line["amount"] for line in self._lines(bill)) + extra

    def _tax(self, bill: _Bill) -> Decimal:
        """Tax of the month in the world; an invoice within the month takes its share of it."""
        if not bill.is_last:
            return rounded(self._subtotal(bill) * self.world.scenario.tax_rate, CENT)
        lines = self.world.invoice(bill.period) or []
        earlier = [one for one in self._bills(bill.period) if not one.is_last]
        return _sum(one.amount for one in lines if one.kind == "tax") - _sum(map(self._tax, earlier))

    def _listed(self, bill: _Bill) -> dict[str, Any]:
        subtotal, tax = self._subtotal(bill), self._tax(bill)
        return {
            "id": bill.number,
            "date": _naive(bill.issued_at),
            "label": "Invoice (simulated)",
            "subtotal": subtotal,
            "tax": tax,
            "tax_summary": [{"name": "SALES TAX (simulated)", "tax": tax}] if tax else [],
            "total": subtotal + tax,
            "billing_source": "linode",
        }

    def _items(self, request: SimulatedRequest, bill: _Bill) -> SimulatedResponse:
        lines = self._lines(bill)
        extra = self.extra_items if bill.is_last else 0
        return self._page(request, _Items(lines, extra, self._extra(bill)))

    def _extra(self, bill: _Bill) -> Mapping[str, Any]:
        quantum = self.world.quantum
        return {
            "label": "Object Storage Overage",
            "type": "misc",
            "from": _naive(bill.period.start),
            "to": _naive(bill.period.end - _SECOND),
            "quantity": 1,
            "unit_price": f"{quantum:f}",
            "amount": quantum,
            "tax": Decimal(0),
            "total": quantum,
            "region": None,
        }

    def _account(self) -> dict[str, Any]:
        name = self.world.scenario.name
        return {
            "active_promotions": [],
            "active_since": _naive(midnight(self.world.scenario.start)),
            "address_1": "1 Example Street",
            "balance": Decimal("200"),
            "balance_uninvoiced": self.uninvoiced(),
            "billing_source": self.billing_source,
            "company": f"{name} (simulated)",
            "country": "US",
            "credit_card": {"expiry": "11/2032", "last_four": "1111"},
            "email": f"{name}@example.com",
            "euuid": hashlib.sha256(name.encode()).hexdigest()[:32].upper(),
            "phone": "555-0100",
        }

    def _transfer(self) -> dict[str, Any]:
        figures = {"billable": 0, "quota": 9141, "used": 2 * self.world.clock().day}
        return {**figures, "region_transfers": [{"id": "id-cgk", **figures}]}

    def _instances(self) -> list[dict[str, Any]]:
        return [
            {
                "id": self._id(resource),
                "label": resource.name,
                "region": resource.region,
                "type": resource.sku,
                "tags": [f"{key}:{value}" for key, value in resource.tags],
                "created": _naive(midnight(resource.started or self.world.scenario.start)),
                "status": "running",
            }
            for _, resource in self.world.machines()
        ]

    def _page(self, request: SimulatedRequest, objects: Sequence[Mapping[str, Any]]) -> SimulatedResponse:
        asked = int(request.query.get("page_size", 100))
        if not 25 <= asked <= 500:
            return _error("Must be 25-500", 400, field="page_size")
        size = min(asked, self.page_size)
        number = 1 if self.repeats_pages else int(request.query.get("page", 1))
        pages = max(1, -(-len(objects) // size))
        if not 1 <= number <= pages:
            return _error("Not found", 404)
        data = objects[(number - 1) * size : number * size]
        return self._whole({"data": data, "page": number, "pages": pages, "results": len(objects)})

    def _whole(self, value: Mapping[str, Any]) -> SimulatedResponse:
        return SimulatedResponse.of(value, headers=self._limits(799))

    def _limits(self, remaining: int) -> dict[str, str]:
        reset = int(self.world.clock().timestamp()) + 30
        said = {"Limit": 800, "Remaining": remaining, "Reset": reset}
        return {f"X-RateLimit-{name}": str(number) for name, number in said.items()}


class _Items(Sequence[Mapping[str, Any]]):
    """Items of an invoice: given items, then a number of equal items that are made when they are requested."""

    def __init__(self, lines: Sequence[Mapping[str, Any]], extra: int, made_of: Mapping[str, Any]) -> None:
        self._lines, self._extra, self._made_of = lines, extra, made_of

    def __len__(self) -> int:
        return len(self._lines) + self._extra

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return [self[number] for number in range(*index.indices(len(self)))]
        if index < len(self._lines):
            return self._lines[index]
        number = index - len(self._lines)
        return {**self._made_of, "label": f"{self._made_of['label']} {number}"}


def _halves(line: dict[str, Any], quantum: Decimal) -> list[dict[str, Any]]:
    half = (line["amount"] / 2).quantize(quantum)
    rest = line["amount"] - half
    return [
        {**line, "amount": half, "tax": Decimal(0), "total": half, "quantity": line["quantity"] - 1},
        {**line, "amount": rest, "total": rest + line["tax"], "quantity": Decimal(1)},
    ]


def _sum(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))


def _naive(moment: datetime) -> str:
    """Format an instant as this API does: in UTC, without a zone."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _error(
    reason: str, status: int, headers: Mapping[str, str] | None = None, field: str | None = None
) -> SimulatedResponse:
    error = {"reason": reason} | ({"field": field} if field else {})
    return SimulatedResponse.of({"errors": [error]}, status=status, headers=headers)
