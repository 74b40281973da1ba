"""Simulates Cost Management's Query API with its paging, its limits, and its undocumented behaviour.

It moves windows that span more than 31 days by day, lie in the future or are reversed; groups come unordered, columns in another order for
each query, resource groups in another case every other day; a client gets the next page by another POST of the same query.
"""

from __future__ import annotations

import base64
import hashlib
import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final
from urllib.parse import quote

from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.simulators.account import SimulatedAccount
from optiinfra_assets.simulators.azure.dated_costs import DatedCost, dated_costs
from optiinfra_assets.simulators.server.server import SimulatedRequest, SimulatedResponse
from optiinfra_assets.simulators.world.scenario import ScenarioResource

ROWS_AT_ONCE: Final = 1_000
LONGEST_DAILY: Final = 31
_DIMENSIONS: Final = frozenset(
    {"ChargeType", "ResourceId", "ResourceLocation", "ServiceName", "SubscriptionId", "SubscriptionName"}
)
SERVICES: Final = {
    "compute": ("Virtual Machines", "Microsoft.Compute/virtualMachines"),
    "gpu": ("Virtual Machines", "Microsoft.Compute/virtualMachines"),
    "database": ("Azure Database for PostgreSQL", "Microsoft.DBforPostgreSQL/flexibleServers"),
    "storage": ("Storage", "Microsoft.Storage/storageAccounts"),
    "network": ("Load Balancer", "Microsoft.Network/loadBalancers"),
}
_REGIONS: Final = {"eu-central": "West Europe", "us-east": "East US", "fra": "Germany West Central"}

Key = tuple[str, ...]


class InvalidQuery(ValueError):
    """The service refuses the query; the message is the service's."""


@dataclass(frozen=True, slots=True)
class ParsedQuery:
    """A query after parsing."""

    kind: str
    first: date
    last: date
    daily: bool
    groups: tuple[str, ...]
    only: Mapping[str, Sequence[str]]


class QueryEndpoint:
    """Answers queries for one scope of an account."""

    def __init__(self, account: SimulatedAccount, scope: str) -> None:
        self._account = account
        self._scope = scope

    def answer(self, request: SimulatedRequest) -> SimulatedResponse:
        """Respond as documented: 204 if there is no data, 400 if the query is invalid."""
        now = self._account.world.clock()
        try:
            question = parse_query(json.loads(request.body), now, self._scope)
        except InvalidQuery as error:
            return failure("BadRequest", str(error), 400)
        mark = hashlib.sha256(request.body).hexdigest()[:8]
        begin = self._begin(request, mark)
        if begin is None:
            return failure("BadRequest", "Invalid $skiptoken for this query.", 400)
        return self._page(question, mark, begin, now)

    def _begin(self, request: SimulatedRequest, mark: str) -> int | None:
        token = request.query.get("$skiptoken")
        if token is None or self._account.repeats_pages:
            return 0
        begin, _, of = base64.b64decode(token).decode().partition(":")
        return int(begin) if of == mark else None

    def _page(self, question: ParsedQuery, mark: str, begin: int, now: datetime) -> SimulatedResponse:
        rows = self._rows(question, mark, now)
        extra = self._extra(question, now) if "ResourceId" in question.groups else 0
        end = begin + self._account.page_size
        page = rows[begin:end] + [
            self._extra_row(question, index - len(rows))
            for index in range(max(begin, len(rows)), min(end, len(rows) + extra))
        ]
        if not rows and not extra:
            return SimulatedResponse(204)
        token = base64.b64encode(f"{end}:{mark}".encode()).decode()
        link = (
            f"{self._account.url}/{self._scope}/providers/Microsoft.CostManagement/query"
            f"?api-version=2024-08-01&$skiptoken={quote(token)}"
        )
        following = link if end < len(rows) + extra else None
        return SimulatedResponse.of(self._written(question, mark, page, following))

    def _written(self, question: ParsedQuery, mark: str, page: list[list[Any]], link: str | None) -> Any:
        names = ["Cost", *(("UsageDate",) if question.daily else ()), *question.groups, "Currency"]
        if self._account.adds_unknown_fields:
            names.append("BrandNew")
            page = [[*row, "new"] for row in page]
        turn = int(mark, 16) % len(names)
        shown = ["renamed" if name == "Cost" and self._account.renames_field else name for name in names]
        numbers = {"Cost", "UsageDate"}
        columns = [
            {"name": name, "type": "Number" if known in numbers else "String"}
            for name, known in zip(shown, names, strict=True)
        ]
        return {
            "id": f"{self._scope}/providers/Microsoft.CostManagement/query/{mark}",
            "name": mark,
            "type": "Microsoft.CostManagement/query",
            "properties": {
                "nextLink": link,
                "columns": columns[turn:] + columns[:turn],
                "rows": [row[turn:] + row[:turn] for row in page],
            },
        }

    def _rows(self, question: ParsedQuery, mark: str, now: datetime) -> list[list[Any]]:
        """Rows in the order of `names` in `_written`, shuffled, but in the same order for each page."""
        sums: dict[Key, Decimal] = {}
        for cost in self._costs(question, now):
            of = self._dimensions(cost)
            if all(of[name] in values for name, values in question.only.items()):
                day = f"{cost.day:%Y%m%d}" if question.daily else ""
                key = (day, *(of[name] for name in question.groups))
                amount = cost.billed if question.kind == "ActualCost" else cost.effective
                sums[key] = sums.get(key, Decimal(0)) + amount
        shuffled = sorted(sums, key=lambda key: hashlib.sha256(f"{mark}{key}".encode()).digest())
        return [row for key in shuffled for row in self._row(key, sums[key], question)]

    def _row(self, key: Key, amount: Decimal, question: ParsedQuery) -> list[list[Any]]:
        day, *groups = key
        rest = [*([int(day)] if question.daily else []), *groups, self._account.world.scenario.currency]
        if not self._account.duplicates_lines or not question.daily:
            return [[amount, *rest]]
        half = (amount / 2).quantize(self._account.world.quantum)
        return [[half, *rest], [amount - half, *rest]]

    def _costs(self, question: ParsedQuery, now: datetime) -> list[DatedCost]:
        """The costs that a query selects: days of the window, charges that its metric includes."""
        period, costs = BillingPeriod.of(question.first), []
        while period.start.date() <= question.last:
            costs += dated_costs(self._account.world, period, now)
            period = period.shift(1)
        if "ResourceId" not in question.groups:
            costs += self._extra_costs(question, now)
        left_out = "UnusedReservation" if question.kind == "ActualCost" else "Purchase"
        return [cost for cost in costs if question.first <= cost.day <= question.last and cost.charge_type != left_out]

    def _dimensions(self, cost: DatedCost) -> dict[str, str]:
        resource = cost.resource
        subscription = self.subscription(resource)
        is_odd = bool(cost.day.day % 2)
        return {
            "ChargeType": cost.charge_type,
            "ServiceName": SERVICES[resource.service][0] if resource else "Reservations",
            "ResourceId": resource_id(resource, subscription, is_odd) if resource else "",
            "ResourceLocation": region(resource, is_odd) if resource else "",
            "SubscriptionId": subscription,
            "SubscriptionName": f"{resource.sub_account if resource else 'billing'} (simulated)",
        }

    def subscription(self, resource: ScenarioResource | None) -> str:
        """The subscription of a narrow scope; in a wide scope each sub account has its own."""
        parts = self._scope.split("/")
        if parts[0] == "subscriptions":
            return parts[1]
        name = f"{self._account.world.scenario.name}.{resource.sub_account if resource else 'billing'}"
        return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))

    def _extra(self, question: ParsedQuery, now: datetime) -> int:
        period = BillingPeriod.of(question.first)
        is_closed = now >= self._account.world.invoiced_at(period)
        wanted = "Usage" in question.only.get("ChargeType", ("Usage",))
        return self._account.extra_items if is_closed and wanted else 0

    def _extra_row(self, question: ParsedQuery, index: int) -> list[Any]:
        subscription = self.subscription(None)
        days = (question.last - question.first).days + 1
        of = {
            "ResourceId": f"/subscriptions/{subscription}/resourceGroups/extra/providers/Microsoft.Compute/disks/disk-{index}",
            "ServiceName": "Storage",
            "ResourceLocation": "West Europe",
        }
        day = int(f"{question.first + timedelta(days=index % days):%Y%m%d}")
        rest = [*([day] if question.daily else []), *(of[name] for name in question.groups)]
        return [self._account.world.quantum, *rest, self._account.world.scenario.currency]

    def _extra_costs(self, question: ParsedQuery, now: datetime) -> list[DatedCost]:
        count = self._extra(question, now)
        days = (question.last - question.first).days + 1
        found = []
        for number in range(min(days, count)):
            amount = self._account.world.quantum * (count // days + (number < count % days))
            found.append(DatedCost(question.first + timedelta(days=number), "Usage", None, amount, amount))
        return found


def resource_id(resource: ScenarioResource, subscription: str, is_odd: bool) -> str:
    """The resource id, with the resource group in another case on odd days, as Azure returns them."""
    group = resource.sub_account.upper() if is_odd else resource.sub_account
    kind = SERVICES[resource.service][1]
    return f"/subscriptions/{subscription}/resourceGroups/{group}/providers/{kind}/{resource.resource_id}"


def region(resource: ScenarioResource, is_odd: bool) -> str:
    """The display name of a region or, on odd days, its id."""
    name = _REGIONS.get(resource.region, resource.region)
    return name.replace(" ", "").lower() if is_odd else name


def failure(code: str, message: str, status: int, headers: Mapping[str, str] | None = None) -> SimulatedResponse:
    """Return an error of Azure Resource Manager."""
    return SimulatedResponse.of({"error": {"code": code, "message": message}}, status=status, headers=headers)


def parse_query(body: Any, now: datetime, scope: str) -> ParsedQuery:
    """Parse a query and move its window as the service does.

    Raises:
        InvalidQuery: the query is not accepted.
    """
    dataset = body["dataset"]
    daily = dataset["granularity"] == "Daily"
    groups = tuple(group["name"] for group in dataset.get("grouping", ()))
    only = _filters(dataset.get("filter"))
    if len(groups) > 2:
        raise InvalidQuery("Query definition is invalid: at most 2 groupings are supported.")
    if len(set(groups)) < len(groups):
        raise InvalidQuery("Query definition is invalid: the same column is used twice.")
    if unknown := {*groups, *only} - _DIMENSIONS:
        raise InvalidQuery(f"Invalid dimension {sorted(unknown)[0]}.")
    if "ResourceId" in groups and not scope.startswith("subscriptions/"):
        raise InvalidQuery("ResourceId is not supported at this scope.")
    if body["timeframe"] != "Custom" or list(dataset["aggregation"]) != ["Cost"]:
        raise InvalidQuery("Query definition is invalid.")
    first, last = (datetime.fromisoformat(body["timePeriod"][name]).date() for name in ("from", "to"))
    return ParsedQuery(body["type"], *_moved(first, last, now.date(), daily), daily, groups, only)


def _filters(said: Any) -> dict[str, list[str]]:
    if said is None:
        return {}
    if "and" in said and len(said["and"]) < 2:
        raise InvalidQuery("Query filter is invalid: 'and' needs at least two expressions.")
    parts = [part["dimensions"] for part in said.get("and", [said])]
    return {part["name"]: part["values"] for part in parts}


def _moved(first: date, last: date, today: date, daily: bool) -> tuple[date, date]:
    first, last = min(first, last), max(first, last)
    if first > today:
        first, last = first - timedelta(days=365), last - timedelta(days=365)
    last = min(last, today)
    if daily:
        first = max(first, last - timedelta(days=LONGEST_DAILY - 1))
    return first, last
