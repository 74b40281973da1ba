"""Simulates Vultr's API v2: account, pending charges, invoices with items, instances, bandwidth.

The response formats follow the vendor's OpenAPI document and the tests of its Go client. Where those say nothing, this simulator chooses:
pending charges change every hour, contain both months between the end of one and its invoice, and contain no tax or overage; tax is an item
named ``Sales Tax``. It issues invoices when the scenario says so, which is half an hour after midnight of the 1st as at Vultr (`rules`).
"""

from __future__ import annotations

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Any, ClassVar, Final
from urllib.parse import unquote

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.server.server import SimulatedRequest, SimulatedResponse
from optiinfra_assets.simulators.world.scenario import Charge, ScenarioResource
from optiinfra_assets.simulators.world.world import CENT, MACHINES, World, grouped

_PRODUCTS: Final = {
    "compute": "Vultr Cloud Compute",
    "gpu": "Cloud GPU",
    "database": "Managed Database",
    "storage": "Object Storage",
    "network": "Load Balancer",
}
_FIRST_INVOICE: Final = 5_317_720


class SimulatedVultr(SimulatedAccount):
    """One account.

    Attributes:
        acls: permissions (ACLs) of the key's user.
    """

    provider = "vultr"
    base_path = "/v2"
    rules: ClassVar = {
        "currency": "USD",
        "posting_delay": timedelta(0),
        "invoice_delay": timedelta(minutes=30),
        "capped_hours": 672,
    }
    tells_days = False
    quantum = CENT
    renamed_field = "total"
    lacking_permission = "billing"

    def __init__(self, world: World, *, secret: str, port: int = 0) -> None:
        super().__init__(world, secret=secret, port=port)
        self.acls = {"billing", "subscriptions_view"}
        self.page_size = 500

    def secrets(self) -> dict[str, str]:
        """Return the API key."""
        return {"api_key": self.secret}

    def answer(self, request: SimulatedRequest) -> SimulatedResponse:
        """Answer as documented; without the ACL or with another key, return the documented error."""
        if self.refuses(request):
            return _error("Invalid API token.", 401)
        parts = request.path.removeprefix("/v2/").split("/")
        if parts[0] == "billing" and (self.lacks_permission or "billing" not in self.acls):
            return _error("User does not have permission: billing", 403)
        if parts in (["instances"], ["account", "bandwidth"]) and "subscriptions_view" not in self.acls:
            return _error("User does not have permission: subscriptions_view", 403)
        match parts:
            case ["account"]:
                return SimulatedResponse.of({"account": self._account()})
            case ["account", "bandwidth"]:
                return SimulatedResponse.of({"bandwidth": self._bandwidth()})
            case ["instances"]:
                return self._page(request, "instances", self._instances())
            case ["billing", "pending-charges"]:
                return SimulatedResponse.of({"pending_charges": self._pending()})
            case ["billing", "invoices"]:
                return self._page(request, "billing_invoices", self._invoices())
            case ["billing", "invoices", number, "items"] if self._period(number):
                return self._items(request, number)
            case ["billing", "invoices", number] if self._period(number):
                invoices = {str(invoice["id"]): invoice for invoice in self._invoices()}
                return SimulatedResponse.of({"billing_invoice": invoices[number]})
        return _error("Not found", 404)

    def throttled(self) -> SimulatedResponse:
        """Return the error for too many requests; no header says how long to wait."""
        return _error("Rate limit reached - please try your request again later.", 429)

    def refusal(self, status: int, code: str, said: str) -> SimulatedResponse:
        """Return an error in the format of this API."""
        return _error(said, status)

    def shown_amount(self, period: BillingPeriod) -> Decimal:
        """Return the running total of the month."""
        return sum((charge.amount for charge in self.world.accrued(period)), Decimal(0))

    def pending_total(self) -> Decimal:
        """Return what the account owes since the last invoice."""
        return sum((charge.amount for charge in self._open_charges()), Decimal(0))

    def _open_charges(self) -> list[Charge]:
        now = self.world.clock()
        periods = [period for period in self.world.periods() if now < self.world.invoiced_at(period)]
        return [charge for period in periods for charge in self.world.accrued(period)]

    def _account(self) -> dict[str, Any]:
        name = self.world.scenario.name
        return {
            "balance": Decimal("-500.00"),
            "pending_charges": self.pending_total(),
            "last_payment_date": "2014-07-18 15:31:01",
            "last_payment_amount": Decimal("-1.00"),
            "name": f"{name} (simulated)",
            "email": f"{name}@example.com",
            "acls": sorted(self.acls),
        }

    def _bandwidth(self) -> dict[str, Any]:
        now = self.world.clock()
        month = BillingPeriod.of(now)
        spans = {
            "previous_month": (month.shift(-1).start, month.start),
            "current_month_to_date": (month.start, now),
            "current_month_projected": (month.start, month.end),
        }
        fixed = {"gb_in": 0, "gb_out": 0, "overage": 0, "overage_unit_cost": CENT, "overage_cost": 0}
        return {
            name: {"timestamp_start": _epoch(start), "timestamp_end": _epoch(end), **fixed}
            for name, (start, end) in spans.items()
        }

    def _instances(self) -> list[dict[str, Any]]:
        return [
            {
                "id": resource.resource_id,
                "os": "Debian 13 x64 (trixie)",
                "main_ip": _address(number),
                "region": resource.region,
                "plan": resource.sku,
                "label": resource.name,
                "date_created": (resource.started or self.world.scenario.start).isoformat() + "T00:00:00+00:00",
                "status": "active",
                "power_status": "running",
                "tags": [f"{key}:{value}" for key, value in resource.tags],
            }
            for number, resource in self.world.machines()
        ]

    def _pending(self) -> list[dict[str, Any]]:
        return self._lines(self._open_charges(), self.world.clock())

    def _invoices(self) -> list[dict[str, Any]]:
        """Return the invoices, newest first. A month without charges has no invoice."""
        issued = [period for period in self.world.periods() if self.invoice_amount(period)]
        return [
            {
                "id": self._number(period),
                "date": _iso(self.world.invoiced_at(period)),
                "description": f"Invoice #{self._number(period)}",
                "amount": self.invoice_amount(period),
                "balance": Decimal("-497.65"),
            }
            for period in reversed(issued)
            if self.world.clock() >= self.world.invoiced_at(period)
        ]

    def _number(self, period: BillingPeriod) -> int:
        return _FIRST_INVOICE + period.year * 12 + period.month

    def _period(self, number: str) -> BillingPeriod | None:
        found = [period for period in self.world.periods() if str(self._number(period)) == number]
        return found[0] if found and self.world.invoice(found[0]) is not None else None

    def _items(self, request: SimulatedRequest, number: str) -> SimulatedResponse:
        period = self._period(number)
        if period is None:
            return _error("Not found", 404)
        lines = self._lines(self.world.invoice(period) or [], period.end)
        total = len(lines) + self.extra_items
        begin, end = self._bounds(request)
        extra = [
            _line(
                "Snapshot",
                f"Snapshot storage {index - len(lines)}",
                "hours",
                Decimal(1),
                self.world.quantum,
                self.world.quantum,
                period.start,
                period.end,
            )
            for index in range(max(begin, len(lines)), min(end, total))
        ]
        return _listing("invoice_items", lines[begin:end] + extra, end, total)

    def _lines(self, charges: Sequence[Charge], now: datetime) -> list[dict[str, Any]]:
        """Return one line for each resource, and one for each charge without a resource or with usage that corrects an invoice."""
        made = [self._line(group, now) for group in grouped(charges).values()]
        return [
            half for line in made for half in (_halves(line, self.world.quantum) if self.duplicates_lines else [line])
        ]

    def _line(self, charges: Sequence[Charge], now: datetime) -> dict[str, Any]:
        first, last = min(charge.day for charge in charges), max(charge.day for charge in charges)
        amount = sum((charge.amount for charge in charges), Decimal(0))
        begin = datetime(first.year, first.month, first.day, tzinfo=UTC)
        end = datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)
        dates = (begin, min(max(now, begin), end))
        resource = charges[0].resource
        if resource is None or charges[0].is_correction:
            product, unit = _besides(charges[0])
            return _line(product, charges[0].description, unit, Decimal(1), Decimal(0), amount, *dates)
        units = sum((charge.quantity for charge in charges), Decimal(0)).quantize(Decimal(1), ROUND_UP)
        price = resource.hourly_price.quantize(Decimal("0.0001"), ROUND_UP)
        return _line(_PRODUCTS[resource.service], self._describe(resource), "hours", units, price, amount, *dates)

    def _describe(self, resource: ScenarioResource) -> str:
        number = self.world.scenario.resources.index(resource)
        if resource.service in MACHINES:
            return f"{_address(number)} (8192 MB) [{resource.name}]"
        return f"{_PRODUCTS[resource.service]} ({resource.name})"

    def _page(self, request: SimulatedRequest, name: str, objects: list[dict[str, Any]]) -> SimulatedResponse:
        begin, end = self._bounds(request)
        return _listing(name, objects[begin:end], end, len(objects))

    def _bounds(self, request: SimulatedRequest) -> tuple[int, int]:
        cursor = "" if self.repeats_pages else unquote(request.query.get("cursor", ""))
        begin = int(base64.b64decode(cursor).removeprefix(b"next__")) if cursor else 0
        return begin, begin + min(int(request.query.get("per_page", 100)), self.page_size)


def _listing(name: str, objects: list[dict[str, Any]], end: int, total: int) -> SimulatedResponse:
    following = base64.b64encode(f"next__{end}".encode()).decode() if end < total else ""
    return SimulatedResponse.of({name: objects, "meta": {"total": total, "links": {"next": following, "prev": ""}}})


def _besides(charge: Charge) -> tuple[str, str]:
    if charge.kind == "tax":
        return "Sales Tax", "tax"
    if charge.kind == "credit":
        return "Credit", "discount"
    return {"refund": "Refund", "purchase": "Reserved Plan"}.get(charge.kind, "Correction"), "hours"


def _line(
    product: str,
    description: str,
    unit: str,
    units: Decimal,
    price: Decimal,
    amount: Decimal,
    begin: datetime,
    end: datetime,
) -> dict[str, Any]:
    return {
        "description": description,
        "product": product,
        "start_date": _iso(begin),
        "end_date": _iso(end),
        "units": units,
        "unit_type": unit,
        "unit_price": price,
        "total": amount,
    }


def _halves(line: dict[str, Any], quantum: Decimal) -> list[dict[str, Any]]:
    half = (line["total"] / 2).quantize(quantum)
    return [
        {**line, "total": half, "units": line["units"] - 1},
        {**line, "total": line["total"] - half, "units": Decimal(1)},
    ]


def _address(number: int) -> str:
    """Return an address from the range reserved for documentation (RFC 5737)."""
    return f"192.0.2.{number + 1}"


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _epoch(moment: datetime) -> str:
    return str(int(moment.timestamp()))


def _error(said: str, status: int) -> SimulatedResponse:
    return SimulatedResponse.of({"error": said, "status": status}, status=status)
