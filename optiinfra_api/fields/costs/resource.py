"""resource: one resource: what it cost each day, its tags, where it belongs, and since when it is there."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Annotated, Any

import strawberry

from optiinfra_api.access.context import CustomerData, Info
from optiinfra_api.fields.arguments import AccountId, AsOf, CustomerId
from optiinfra_api.fields.costs.arguments import Basis, CostBasis, CostFilter, DisplayCurrency, PeriodAsked, cost_query
from optiinfra_api.fields.costs.cost_series import series
from optiinfra_api.fields.costs.money import (
    CONVERTED_AMOUNTS,
    RATES,
    Published,
    Sum,
    converted_columns,
    freshness_fields,
    sum_of,
)
from optiinfra_api.fields.costs.resource_seen import seen
from optiinfra_api.fields.costs.resources import described_resource
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import DateColumn, DateText, DecimalColumn, TagMap
from optiinfra_api.reading.cost_query import CostQuery


@strawberry.type(description="What a resource cost in one currency.")
class ResourceSeries(Sum):
    dates: DateColumn = strawberry.field(description="The days of the period that have charges for it.")
    amounts: DecimalColumn = strawberry.field(description="The cost of each of `dates`.")
    converted_amounts: DecimalColumn | None = CONVERTED_AMOUNTS
    rates: DecimalColumn | None = RATES


@strawberry.type(description="One resource of an account.")
class Resource(Published):
    provider: str = strawberry.field(description="Provider, such as `aws`.")
    account: str = strawberry.field(description="Account id of this platform.")
    resource_id: str = strawberry.field(description="The provider's id.")
    name: str | None = strawberry.field(description="Its name in the newest billing period with charges for it.")
    type: str | None = strawberry.field(description="Its type then.")
    services: list[str] = strawberry.field(description="Services that charged for it then.")
    regions: list[str] = strawberry.field(description="Regions it was charged in then.")
    sub_accounts: list[str] = strawberry.field(description="Sub accounts it was charged to then.")
    tags: TagMap = strawberry.field(description="The tags of its newest line item.")
    first_seen: DateText = strawberry.field(description="The first day that is published with a charge for it.")
    last_seen: DateText = strawberry.field(description="The last such day.")
    series: list[ResourceSeries] = strawberry.field(
        description="What it cost in the period, by currency; empty if nothing was charged for it then."
    )


ResourceId = Annotated[str, strawberry.argument(description="The provider's id, as `costsByResource` shows it.")]


@strawberry.type
class ResourceQuery:
    @resolved("One resource: what it cost each day of a period, and what is known of it. Null: no charge names it.")
    async def resource(
        self,
        info: Info,
        account_id: AccountId,
        resource_id: ResourceId,
        period: PeriodAsked,
        customer_id: CustomerId = None,
        cost_basis: Basis = CostBasis.BILLED,
        as_of: AsOf = None,
        display_currency: DisplayCurrency = None,
    ) -> Resource | None:
        account = CostFilter(account=[account_id])
        asked, ever = (replace(cost_query(days, account, as_of), resources=(resource_id,)) for days in (period, None))
        data = await info.context.data_of(customer_id)
        display = data.display(display_currency)
        known, (found, rows) = await asyncio.gather(
            _known(data, ever), series(data, asked, cost_basis, granularity=_DAILY, display=display)
        )
        if known is None:
            return None
        its: list[Any] = [
            {**{name: row[name] for name in ("dates", "amounts")}, **converted_columns(row), **sum_of(row)}
            for row in rows
        ]
        return Resource(
            account=account_id, resource_id=resource_id, series=its, **known, **freshness_fields(found, display)
        )


_DAILY = "daily"


async def _known(data: CustomerData, ever: CostQuery) -> dict[str, Any] | None:
    """What is known of a resource from all that is published; None if no charge names it."""
    (resource,) = ever.resources
    all_ = await data.resolve(ever)
    rows = await data.rows(
        "resource_details", ever, all_, newest_generations=list(all_.generations), resources=[resource]
    )
    if not rows or not resource:
        return None
    days = await seen(data, ever, [(ever.accounts[0], resource)])
    if not days:
        return None
    ((first, last),) = days.values()
    slices = {one.generation: one.slice for one in all_.publications}
    newest = max({row["generation"] for row in rows}, key=lambda generation: slices[generation].billing_period)
    return {
        "provider": slices[newest].provider,
        "tags": await _newest_tags(data, ever, last),
        "first_seen": first,
        "last_seen": last,
        **described_resource([row for row in rows if row["generation"] == newest]),
    }


async def _newest_tags(data: CustomerData, ever: CostQuery, day: str) -> Any:
    """The tags of the newest line item of a day."""
    start = date.fromisoformat(day)
    question = replace(ever, start=start, end=start + timedelta(days=1))
    (row,) = await data.rows(
        "line_items",
        question,
        await data.resolve(question),
        has_after=0,
        after_start=datetime.fromtimestamp(0, UTC),
        after_generation=0,
        after_line_number=0,
        limit=1,
    )
    return row["tags"]
