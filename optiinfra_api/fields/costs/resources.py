"""costsByResource: the most expensive resources first, in pages by (currency, cost, account, resource)."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from decimal import Decimal
from typing import Any, TypeVar

import strawberry

from optiinfra_api.access.context import CustomerData, Info
from optiinfra_api.fields.arguments import After, AsOf, CustomerId, First
from optiinfra_api.fields.costs.arguments import Basis, CostBasis, DisplayCurrency, Filter, PeriodAsked, cost_query
from optiinfra_api.fields.costs.money import Published, Sum, freshness_fields, sum_of
from optiinfra_api.fields.costs.resource_ranking import ResourceRanking
from optiinfra_api.fields.costs.resource_seen import seen
from optiinfra_api.fields.pagination import PageInfo, Paginator, Row, RowPage
from optiinfra_api.fields.selected_fields import selected_names
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import DateText
from optiinfra_api.reading.cost_query import CostQuery

_T = TypeVar("_T")


@strawberry.type(description="What one resource cost in one currency.")
class ResourceCost(Sum):
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    account: str = strawberry.field(description="Account id of this platform.")
    resource_id: str | None = strawberry.field(
        description="The provider's id. Null: all charges of the account that belong to no resource, such as taxes."
    )
    name: str | None = strawberry.field(description="Its name in the newest billing period with charges for it.")
    type: str | None = strawberry.field(description="Its type then.")
    services: list[str] = strawberry.field(description="Services that charged for it then.")
    regions: list[str] = strawberry.field(description="Regions it was charged in then.")
    sub_accounts: list[str] = strawberry.field(description="Sub accounts it was charged to then.")
    first_seen: DateText | None = strawberry.field(
        description="The first day that is published with a charge for it, whatever the period and the filter. Null without resourceId."
    )
    last_seen: DateText | None = strawberry.field(description="The last such day.")


@strawberry.type(description="A page of resources, by currency, then most expensive first.")
class ResourceCosts(Published):
    nodes: list[ResourceCost] = strawberry.field(description="The resources of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.type
class CostsByResourceQuery:
    @resolved("Costs of a period by resource, most expensive first, in pages.")
    async def costs_by_resource(
        self,
        info: Info,
        period: PeriodAsked,
        first: First,
        after: After = None,
        customer_id: CustomerId = None,
        filter: Filter = None,
        cost_basis: Basis = CostBasis.BILLED,
        as_of: AsOf = None,
        display_currency: DisplayCurrency = None,
    ) -> ResourceCosts | None:
        question = cost_query(period, filter, as_of)
        data = await info.context.data_of(customer_id)
        ranking = ResourceRanking(data, question, period, cost_basis)
        pages = Paginator(
            data, question, ("resources", cost_basis), (str, Decimal, bytes, bytes), _position, ranking.read
        )
        display = data.display(display_currency)
        page = await pages.page(first, after)
        selected = selected_names("nodes", info)
        details, known, days = await asyncio.gather(
            _details(data, question, page) if _DETAILS & selected else _nothing({}),
            seen(data, question, _ids(page)) if _SEEN & selected else _nothing({}),
            ranking.days(page, display) if display else _nothing([]),
        )
        if display is not None:
            await display.resources(page.rows, days)
        providers = {one.slice.account_id: one.slice.provider for one in page.resolved.publications}
        keys = [(row["account"], row["resource"]) for row in page.rows]
        nodes = [
            _node(row, providers[key[0]], details.get(key, _UNKNOWN), known.get(key, (None, None)))
            for row, key in zip(page.rows, keys, strict=True)
        ]
        return ResourceCosts(nodes=nodes, page_info=page.info, **freshness_fields(page.resolved, display, is_page=True))


_DETAILS = {"name", "type", "services", "regions", "subAccounts"}
_LISTS = {"services": "service", "regions": "region", "sub_accounts": "sub_account"}
_SEEN = {"firstSeen", "lastSeen"}
_UNKNOWN: dict[str, Any] = {"name": None, "type": None, "services": [], "regions": [], "sub_accounts": []}


async def _nothing(found: _T) -> _T:
    return found


def _ids(page: RowPage) -> list[tuple[str, str]]:
    return [(row["account"], row["resource"]) for row in page.rows if row["resource"]]


async def _details(data: CustomerData, question: CostQuery, page: RowPage) -> dict[tuple[str, str], Row]:
    """The details of the resources of one page, by account and resource id."""
    newest = {(row["account"], row["resource"]): row["newest_generation"] for row in page.rows if row["resource"]}
    if not newest:
        return {}
    rows = await data.rows(
        "resource_details",
        question,
        page.resolved,
        newest_generations=sorted(set(newest.values())),
        resources=sorted({resource for _, resource in newest}),
    )
    described = defaultdict(list)
    for row in rows:
        key = row["account"], row["resource"]
        if newest.get(key) == row["generation"]:
            described[key].append(row)
    return {key: described_resource(found) for key, found in described.items()}


def described_resource(rows: list[Row]) -> Row:
    """The details of one resource from its rows; of several names or types, the alphabetically last, so that it is always the same."""
    return {
        "name": max(row["name"] for row in rows) or None,
        "type": max(row["type"] for row in rows) or None,
        **{names: sorted({row[name] for row in rows} - {""}) for names, name in _LISTS.items()},
    }


def _node(row: Row, provider: str, details: Row, days: tuple[str | None, str | None]) -> Any:
    """The fields of `ResourceCost` as a row; see `graphql.row_execution`."""
    return {
        "provider": provider,
        "account": row["account"],
        "resource_id": row["resource"] or None,
        **details,
        "first_seen": days[0],
        "last_seen": days[1],
        **sum_of(row),
    }


def _position(row: dict[str, Any]) -> tuple[Any, ...]:
    return row["currency"], row["total"], row["account"], row["resource"]
