"""A simulated DigitalOcean team: billing insights, invoices with items and summary, the preview, balance, droplets.

It builds the insights and the preview every night at 4:00 UTC with all days that are over; the balance changes every hour. It issues the
invoice of a month on the 1st at 6:00 UTC. Only summaries contain tax, credits and refunds. A late charge for an earlier month has the day
on which it appears. Storage has no resource id, because some resources at DigitalOcean have none.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import ROUND_UP, Decimal
from typing import Any, ClassVar, Final

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.digitalocean.pages import bounds, numbered_page
from optiinfra_assets.simulators.server.server import SimulatedRequest, SimulatedResponse
from optiinfra_assets.simulators.server.wire import zulu
from optiinfra_assets.simulators.world.scenario import Charge, ScenarioResource
from optiinfra_assets.simulators.world.spend import midnight
from optiinfra_assets.simulators.world.world import CENT, MACHINES, World, grouped

_NIGHTLY: Final = timedelta(hours=4)
_PRODUCTS: Final = {
    "compute": "Droplets",
    "gpu": "GPU Droplets",
    "database": "Database Clusters",
    "storage": "Spaces Subscription",
    "network": "Load Balancers",
}
_SKUS: Final = {"compute": "1-DO-DROP", "gpu": "1-DO-GPUD", "database": "1-DB-PGSQL", "storage": "1-SP-SUBS"}
_ITEMISED: Final = frozenset({"usage", "purchase"})
_FIRST_DROPLET: Final = 3_164_400


@dataclass(frozen=True, slots=True)
class _Bill:
    """An invoice or the preview: its charges, the number of extra items, and overage."""

    name: str
    period: BillingPeriod
    charges: Sequence[Charge]
    extra: int = 0
    overages: Decimal = Decimal(0)


class SimulatedDigitalOcean(SimulatedAccount):
    """One team.

    Attributes:
        scopes: scopes of the token.
        overages: traffic overage that every invoice of a closed month has beyond its items.
        forgotten: days without estimates.
        hourly_limit: requests an hour as its responses state it: so high that no client has to wait; the real limit is 5,000.
        bills_early: UTC instant at which usage passes a threshold: an invoice then bills the days before it, the last invoice the others.
        previews_ahead: the preview moves on to the new month at midnight of the 1st, and not when the old month is invoiced.
    """

    provider = "digitalocean"
    rules: ClassVar = {"currency": "USD", "posting_delay": _NIGHTLY, "invoice_delay": timedelta(hours=6)}
    quantum = CENT
    renamed_field = "amount"
    lacking_permission = "billing:read"

    def __init__(self, world: World, *, secret: str, port: int = 0) -> None:
        super().__init__(world, secret=secret, port=port)
        self.page_size = 200
        self.scopes = {"account:read", "billing:read", "droplet:read"}
        self.overages = Decimal(0)
        self.hourly_limit = 10_000_000
        self.forgotten: set[date] = set()
        self.bills_early: datetime | None = None
        self.previews_ahead = False

    @property
    def team(self) -> str:
        """Uuid of the team."""
        return _uuid("team", self.world.scenario.name)

    def secrets(self) -> dict[str, str]:
        """Return the token."""
        return {"api_token": self.secret}

    def answer(self, request: SimulatedRequest) -> SimulatedResponse:
        """Answer as documented; without the scope or with another token, return the documented error."""
        if self.refuses(request):
            return _error("unauthorized", "Unable to authenticate you.", 401)
        parts = request.path.removeprefix("/v2/").split("/")
        if not self._allows(parts[0]):
            return _error("forbidden", "You are missing the required permission.", 403)
        match parts:
            case ["account"]:
                return SimulatedResponse.of({"account": self._account()})
            case ["droplets"]:
                droplets = self._droplets()
                return numbered_page(self, request, "droplets", len(droplets), lambda i, j: droplets[i:j])
            case ["customers", "my", "balance"]:
                return SimulatedResponse.of(self._balance())
            case ["customers", "my", "invoices"]:
                return self._invoices(request)
            case ["customers", "my", "invoices", name, *rest] if rest in ([], ["summary"]):
                return self._invoice(request, name, bool(rest))
            case ["billing", urn, "insights", begin, end] if urn == f"do:team:{self.team}":
                return self._insights(request, date.fromisoformat(begin), date.fromisoformat(end))
        return _error("not_found", "The resource you requested could not be found.", 404)

    def tell(self, request: SimulatedRequest) -> SimulatedResponse:
        """Return the response with the headers of the token's limits."""
        response = super().tell(request)
        limits = {
            "ratelimit-limit": f"{self.hourly_limit}",
            "ratelimit-remaining": f"{self.hourly_limit - 1}",
        }
        return replace(response, headers={**response.headers, **limits})

    def throttled(self) -> SimulatedResponse:
        """Return the error for a used-up limit per minute."""
        return _error("too_many_requests", "API rate limit exceeded.", 429, {"retry-after": "5"})

    def broken(self) -> SimulatedResponse:
        """Return the error for a failure of the server."""
        return _error("server_error", "Unexpected server-side error", 500)

    def refusal(self, status: int, code: str, said: str) -> SimulatedResponse:
        """Return an error in the format of this API."""
        return _error(code, said, status)

    def invoice_amount(self, period: BillingPeriod) -> Decimal:
        """Return the sum of the invoices of a period, computed from the world and not from the items."""
        lines = self.world.invoice(period)
        return _sum(lines) + self.extra_items * self.world.quantum + self.overages if lines else Decimal(0)

    def shown_amount(self, period: BillingPeriod) -> Decimal:
        """Return the sum of the month as of the last night: estimates, and credits so far."""
        return _sum(self._shown(period))

    @property
    def _built(self) -> datetime:
        """UTC instant at which the insights and the preview were last built."""
        return midnight((self.world.clock() - _NIGHTLY).date()) + _NIGHTLY

    def _shown(self, period: BillingPeriod) -> list[Charge]:
        return self.world.charges(period, self._built)

    @property
    def _open_period(self) -> BillingPeriod:
        """The first period that is not invoiced; the preview is for it."""
        return next(one for one in self.world.periods() if self.world.invoice(one) is None)

    def _allows(self, subject: str) -> bool:
        scope = {"account": "account:read", "droplets": "droplet:read"}.get(subject, "billing:read")
        return scope in self.scopes and not (self.lacks_permission and scope == "billing:read")

    def _account(self) -> dict[str, Any]:
        name = f"{self.world.scenario.name} (simulated)"
        return {"name": name, "team": {"uuid": self.team, "name": name}}

    def _droplets(self) -> list[dict[str, Any]]:
        return [
            {
                "id": _FIRST_DROPLET + number,
                "name": resource.name,
                "size_slug": resource.sku,
                "region": {"name": resource.region, "slug": resource.region, "available": True},
                "tags": [f"{key}:{value}" for key, value in resource.tags],
            }
            for number, resource in self.world.machines()
        ]

    def _balance(self) -> dict[str, Any]:
        usage = _sum(self.world.accrued(self._open_period))
        return {
            "month_to_date_balance": f"{usage + 500:f}",
            "account_balance": "500.00",
            "month_to_date_usage": f"{usage:f}",
            "generated_at": zulu(self.world.clock()),
        }

    def _early(self, period: BillingPeriod) -> list[Charge]:
        """Return the charges of a month that an invoice past a threshold bills."""
        at = self.bills_early
        if at is None or BillingPeriod.of(at) != period or self.world.clock() < at:
            return []
        shown = self.world.charges(period, at)
        return [charge for charge in shown if charge.kind in _ITEMISED and charge.day < at.date()]

    def _bills(self) -> list[_Bill]:
        """Return all invoices, newest first. A month without charges has no invoice."""
        bills = []
        for period in self.world.periods():
            early = self._early(period)
            if early:
                bills.append(_Bill(_uuid("early", str(period)), period, early))
            lines = self.world.invoice(period)
            if lines:
                beyond = (self.extra_items, self.overages)
                bills.append(_Bill(_uuid("invoice", str(period)), period, _without(lines, early), *beyond))
        return bills[::-1]

    def _preview(self) -> _Bill:
        period = BillingPeriod.of(self.world.clock()) if self.previews_ahead else self._open_period
        return _Bill("preview", period, _without(self._shown(period), self._early(period)))

    def _amount(self, bill: _Bill) -> Decimal:
        return _sum(bill.charges) + bill.extra * self.world.quantum + bill.overages

    def _invoices(self, request: SimulatedRequest) -> SimulatedResponse:
        bills, preview = self._bills(), self._preview()
        listed = [self._listed(bill, bill.name) for bill in bills]
        last = self._listed(preview, _uuid("preview", str(self._built)))
        besides = {"invoice_preview": {**last, "updated_at": zulu(self._built)}}
        return numbered_page(self, request, "invoices", len(listed), lambda i, j: listed[i:j], besides)

    def _listed(self, bill: _Bill, name: str) -> dict[str, Any]:
        return {
            "invoice_uuid": name,
            "invoice_id": str(int(uuid.UUID(name)) % 10**9),
            "amount": f"{self._amount(bill):f}",
            "invoice_period": str(bill.period),
        }

    def _invoice(self, request: SimulatedRequest, name: str, is_summary: bool) -> SimulatedResponse:
        bill = next((one for one in [self._preview(), *self._bills()] if one.name == name), None)
        if bill is None:
            return _error("not_found", "The resource you requested could not be found.", 404)
        if is_summary:
            return SimulatedResponse.of(self._summary(bill))
        items = self._items(bill)

        def some(begin: int, end: int) -> list[dict[str, Any]]:
            extra = range(max(begin - len(items), 0), max(end - len(items), 0))
            return items[begin:end] + [self._extra(bill, number) for number in extra]

        return numbered_page(self, request, "invoice_items", len(items) + bill.extra, some)

    def _summary(self, bill: _Bill) -> dict[str, Any]:
        products = _sum(charge for charge in bill.charges if charge.kind in _ITEMISED)
        taxes = _sum(charge for charge in bill.charges if charge.kind == "tax")
        parts = {
            "product_charges": ("Product usage charges", products + bill.extra * self.world.quantum),
            "overages": ("Overages", bill.overages),
            "taxes": ("Taxes", taxes),
            "credits_and_adjustments": ("Credits & adjustments", _sum(bill.charges) - products - taxes),
        }
        return {
            "invoice_uuid": bill.name,
            "billing_period": str(bill.period),
            "amount": f"{self._amount(bill):f}",
            "user_name": f"{self.world.scenario.name} (simulated)",
            **{part: {"name": title, "amount": f"{amount:f}"} for part, (title, amount) in parts.items()},
        }

    def _items(self, bill: _Bill) -> list[dict[str, Any]]:
        """Return one item for each resource, and one for each charge without a resource or with usage that corrects an invoice."""
        lines = grouped(charge for charge in bill.charges if charge.kind in _ITEMISED)
        made = [self._item(group) for group in lines.values()]
        return [half for item in made for half in self._halves(item, "amount")]

    def _item(self, charges: Sequence[Charge]) -> dict[str, Any]:
        first, last = min(charge.day for charge in charges), max(charge.day for charge in charges)
        resource = charges[0].resource
        group, description = _texts(charges[0])
        hours = sum((charge.quantity for charge in charges), Decimal(0)).quantize(Decimal(1), ROUND_UP)
        return {
            "product": _PRODUCTS[resource.service] if resource else "Commitment",
            **(self._ids(resource) if resource else {}),
            "group_description": group,
            "description": description,
            "amount": f"{_sum(charges):f}",
            "duration": f"{hours}",
            "duration_unit": "Hours",
            "start_time": zulu(midnight(first)),
            "end_time": zulu(midnight(last + timedelta(days=1))),
            **({"project_name": resource.sub_account} if resource else {}),
        }

    def _ids(self, resource: ScenarioResource) -> dict[str, str]:
        if resource.service in MACHINES:
            return {"resource_id": str(_FIRST_DROPLET + self.world.scenario.resources.index(resource))}
        return {} if resource.service == "storage" else {"resource_uuid": _uuid("it", resource.resource_id)}

    def _extra(self, bill: _Bill, number: int) -> dict[str, Any]:
        return {
            "product": "Snapshots",
            "resource_id": str(number),
            "group_description": "",
            "description": f"Snapshot {number} (simulated)",
            "amount": f"{self.world.quantum:f}",
            "duration": "744",
            "duration_unit": "Hours",
            "start_time": zulu(bill.period.start),
            "end_time": zulu(bill.period.end),
        }

    def _insights(self, request: SimulatedRequest, begin: date, end: date) -> SimulatedResponse:
        """Return the days from `begin` to `end`, both inclusive, at most 31 days apart."""
        if not begin <= end <= begin + timedelta(days=31):
            return _error("bad_request", "end_date must be within 31 days of start_date", 400)
        points = [
            half
            for period in self.world.periods()
            if period.start.date() <= end and begin < period.end.date()
            for charge in self._shown(period)
            if charge.kind in _ITEMISED and begin <= _noticed(charge) <= end and _noticed(charge) not in self.forgotten
            for half in self._halves(self._point(charge), "total_amount")
        ]
        points.sort(key=lambda point: str(point["start_date"]))
        first, last = bounds(self, request)
        size = last - first
        pages = {"total_pages": -(-len(points) // size), "current_page": first // size + 1}
        return SimulatedResponse.of({"data_points": points[first:last], "total_items": len(points), **pages})

    def _point(self, charge: Charge) -> dict[str, Any]:
        group, description = _texts(charge)
        resource = charge.resource
        return {
            "usage_team_urn": f"do:team:{self.team}",
            "start_date": str(_noticed(charge)),
            "total_amount": f"{charge.amount:f}",
            "region": resource.region if resource else "",
            "sku": f"{_SKUS.get(resource.service, '1-DO-MISC')}-0109" if resource else "",
            "description": description,
            "group_description": group,
        }

    def _halves(self, thing: dict[str, Any], name: str) -> list[dict[str, Any]]:
        if not self.duplicates_lines:
            return [thing]
        whole = Decimal(thing[name])
        half = (whole / 2).quantize(self.world.quantum)
        return [{**thing, name: f"{half:f}"}, {**thing, name: f"{whole - half:f}"}]


def _texts(charge: Charge) -> tuple[str, str]:
    """Group and description of a charge; insights and invoices have the same texts."""
    resource = charge.resource
    if resource is None:
        return "", charge.description
    corrected = " (corrected)" if charge.is_correction else ""
    if resource.service == "database":
        return resource.name, f"{resource.sku}{corrected}"
    return "", f"{resource.name} ({resource.sku}){corrected}"


def _noticed(charge: Charge) -> date:
    """Day of the estimate of a charge: its own day, or the day on which it appeared if its own day is in an earlier month."""
    start, end = charge.billing_period.start.date(), charge.billing_period.end.date()
    return charge.day if charge.day >= start else min(charge.posted_at.date(), end - timedelta(days=1))


def _without(charges: Iterable[Charge], others: Iterable[Charge]) -> list[Charge]:
    keys = {charge.key for charge in others}
    return [charge for charge in charges if charge.key not in keys]


def _sum(charges: Iterable[Charge]) -> Decimal:
    return sum((charge.amount for charge in charges), Decimal(0))


def _uuid(kind: str, name: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"simulated/{kind}/{name}"))


def _error(name: str, said: str, status: int, headers: dict[str, str] | None = None) -> SimulatedResponse:
    return SimulatedResponse.of({"id": name, "message": said}, status=status, headers=headers)
