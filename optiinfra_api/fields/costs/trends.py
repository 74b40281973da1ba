"""costTrends: costs over time, one series for each group and currency."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import AsOf, CustomerId
from optiinfra_api.fields.costs.arguments import Basis, CostBasis, DisplayCurrency, Filter, PeriodAsked, cost_query
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
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import DateColumn, DecimalColumn


@strawberry.enum(description="How many days make one amount of a series.")
class Granularity(Enum):
    DAILY = described("daily", "One.")
    WEEKLY = described("weekly", "Seven, from Monday.")
    MONTHLY = described("monthly", "Those of the month of the charges, not of the invoice.")


@strawberry.enum(description="What series are told apart by.")
class Dimension(Enum):
    PROVIDER = described("provider", "The provider.")
    ACCOUNT = described("account", "The account of this platform.")
    SUB_ACCOUNT = described("sub_account", "The provider's sub account.")
    SERVICE = described("service", "The service.")
    REGION = described("region", "The region.")
    CHARGE_CATEGORY = described("charge_category", "The category of the charge.")


@strawberry.type(
    description="Costs over time of one group in one currency. A dimension that is not grouped by, or that the line items lack, is null."
)
class CostSeries(Sum):
    provider: str | None = strawberry.field(description="Provider, such as `aws`.")
    account: str | None = strawberry.field(description="Account id of this platform.")
    sub_account: str | None = strawberry.field(description="The provider's sub account id.")
    service: str | None = strawberry.field(description="Service name.")
    region: str | None = strawberry.field(description="Region id.")
    charge_category: str | None = strawberry.field(description="Usage, Purchase, Tax, Credit or Adjustment.")
    tag: str | None = strawberry.field(
        description="Value of the tag of groupByTag. Null: charges without that tag; an empty text: charges whose tag is empty."
    )
    currency: str = strawberry.field(description="Currency of the amounts.")
    dates: DateColumn = strawberry.field(
        description="First days of the weeks or months (which may be before the period), or the days, that have charges."
    )
    amounts: DecimalColumn = strawberry.field(description="The cost of each of `dates`, of days in the period only.")
    converted_amounts: DecimalColumn | None = CONVERTED_AMOUNTS
    rates: DecimalColumn | None = RATES


@strawberry.type(description="Costs over time.")
class CostTrends(Published):
    series: list[CostSeries] = strawberry.field(
        description="By currency, then largest sum first; at most 1000. Empty if nothing was charged."
    )


GroupBy = Annotated[
    list[Dimension] | None,
    strawberry.argument(description="Dimensions that series are told apart by. Default: one series per currency."),
]
GroupByTag = Annotated[
    str | None,
    strawberry.argument(description="Tell series apart by the value of the tag of this name, too."),
]
GranularityAsked = Annotated[Granularity, strawberry.argument(description="Days in one amount. Default: DAILY.")]


@strawberry.type
class CostTrendsQuery:
    @resolved("Costs over time, one series for each group and currency.")
    async def cost_trends(
        self,
        info: Info,
        period: PeriodAsked,
        customer_id: CustomerId = None,
        granularity: GranularityAsked = Granularity.DAILY,
        group_by: GroupBy = None,
        group_by_tag: GroupByTag = None,
        filter: Filter = None,
        cost_basis: Basis = CostBasis.BILLED,
        as_of: AsOf = None,
        display_currency: DisplayCurrency = None,
    ) -> CostTrends | None:
        question = cost_query(period, filter, as_of)
        groups = {one.value for one in group_by or ()}
        if group_by_tag is not None:
            groups.add("tag")
        data = await info.context.data_of(customer_id)
        display = data.display(display_currency)
        resolved, rows = await series(
            data,
            question,
            cost_basis,
            group_by=groups,
            granularity=granularity.value,
            tag_key=group_by_tag or "",
            display=display,
        )
        return CostTrends(series=[_series(row) for row in rows], **freshness_fields(resolved, display))


_DIMENSIONS = tuple(one.value for one in Dimension)


def _series(row: dict[str, Any]) -> Any:
    """The fields of `CostSeries` from a row of `cost_series.series`; see `graphql.row_execution`."""
    return {
        **{name: row.get(name) or None for name in _DIMENSIONS},
        "tag": row.get("tag"),
        "currency": row["currency"],
        "dates": row["dates"],
        "amounts": row["amounts"],
        **converted_columns(row),
        **sum_of(row),
    }
