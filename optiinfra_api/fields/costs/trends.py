"""costTrends: costs over time, one series for each group and currency."""

from __future__ import annotations

import asyncio
from enum import Enum
from functools import partial
from typing import Annotated, Any

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import AsOf, CustomerId
from optiinfra_api.fields.costs.arguments import Basis, CostBasis, DisplayCurrency, Filter, PeriodAsked, cost_query
from optiinfra_api.fields.costs.cost_series import DAILY, LARGEST_FIRST, MAX_SERIES, Grouping, rest, series_of
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
from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import DateColumn, DecimalColumn
from optiinfra_api.reading.cost_query import MAX_TAGS
from optiinfra_assets.domain.publications import ResolvedGenerations

Rows = list[dict[str, Any]]


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
    SERVICE_PROVIDER = described("service_provider", "Who provides the service.")
    SERVICE_CATEGORY = described("service_category", "The category of the service.")
    INVOICE = described("invoice", "The invoice, by its id.")
    BILLING_PERIOD = described("period", "The month that the charge is invoiced in.")
    SKU = described("sku", "The SKU, by its id.")
    PRICING_CATEGORY = described("pricing_category", "How the price is made.")
    COMMITMENT = described("commitment", "The commitment discount, by its id.")


@strawberry.enum(description="In which order the series of one currency come, and so which of them a limit leaves out.")
class SeriesOrder(Enum):
    LARGEST_FIRST = described(LARGEST_FIRST, "By their sum, the largest first.")
    SMALLEST_FIRST = described("smallest_first", "By their sum, the smallest first: credits.")
    BY_NAME = described("by_name", "By what they are told apart by, in the order of the fields of a series.")


@strawberry.interface(
    description="What sums are told apart by. A dimension that is not grouped by, or that the line items lack, is null."
)
class Grouped:
    provider: str | None = strawberry.field(description="Provider, such as `aws`.")
    account: str | None = strawberry.field(description="Account id of this platform.")
    sub_account: str | None = strawberry.field(description="The provider's sub account id.")
    service: str | None = strawberry.field(description="Service name.")
    region: str | None = strawberry.field(description="Region id.")
    charge_category: str | None = strawberry.field(description="Usage, Purchase, Tax, Credit or Adjustment.")
    tag: str | None = strawberry.field(
        description="Value of the tag of groupByTag. Null: charges without that tag; an empty text: charges whose tag is empty."
    )
    service_provider: str | None = strawberry.field(description="Who provides the service.")
    service_category: str | None = strawberry.field(description="Category of the service, such as `Compute`.")
    invoice: str | None = strawberry.field(description="Invoice id.")
    billing_period: str | None = strawberry.field(
        description="Month that the charges are invoiced in, such as `2026-11`."
    )
    sku: str | None = strawberry.field(description="SKU id.")
    pricing_category: str | None = strawberry.field(description="Standard, Dynamic, Committed or Other.")
    commitment: str | None = strawberry.field(description="Commitment discount id.")
    tags: list[str | None] | None = strawberry.field(
        description="Values of the tags of groupByTags, in that order, each as in `tag`. Null: none are grouped by."
    )


@strawberry.interface(description="Costs over time in one currency.")
class OverTime(Sum):
    currency: str = strawberry.field(description="Currency of the amounts.")
    dates: DateColumn = strawberry.field(
        description="First days of the weeks or months (which may be before the period), or the days, that have charges."
    )
    amounts: DecimalColumn = strawberry.field(description="The cost of each of `dates`, of days in the period only.")
    converted_amounts: DecimalColumn | None = CONVERTED_AMOUNTS
    rates: DecimalColumn | None = RATES


@strawberry.type(description="Costs over time of one group in one currency.")
class CostSeries(Grouped, OverTime):
    pass


@strawberry.type(
    description="Costs over time of all groups in one currency that `limit` leaves out. Its `dates` are those of all charges."
)
class OtherSeries(OverTime):
    pass


@strawberry.type(description="Costs over time.")
class CostTrends(Published):
    series: list[CostSeries] = strawberry.field(
        description="By currency, then in the asked order; at most 1000. Empty if nothing was charged."
    )
    other: list[OtherSeries] = strawberry.field(
        description="What `limit` leaves out, by currency: with it, the series add up to everything. Empty if nothing is left out."
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


GroupByTags = Annotated[
    list[str] | None,
    strawberry.argument(description="Tell series apart by the values of the tags of these names, too; at most 20."),
]
IgnoreTagCase = Annotated[
    bool,
    strawberry.argument(
        description="For groupByTag and groupByTags, tags whose names differ in upper and lower case are one. Of several, "
        "one with a value counts, the name as it is asked before others."
    ),
]
Order = Annotated[SeriesOrder, strawberry.argument(description="Order within a currency. Default: LARGEST_FIRST.")]
Limit = Annotated[
    int | None,
    strawberry.argument(description="At most so many series of each currency, 1 to 1000; `other` sums the rest up."),
]


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
        group_by_tags: GroupByTags = None,
        ignore_tag_case: IgnoreTagCase = False,
        order_by: Order = SeriesOrder.LARGEST_FIRST,
        limit: Limit = None,
    ) -> CostTrends | None:
        question = cost_query(period, filter, as_of)
        groups = grouping(group_by, group_by_tag, group_by_tags, in_any_case=ignore_tag_case)
        if limit is not None:
            check_limit(limit)
        data = await info.context.data_of(customer_id)
        display = data.display(display_currency, _selected(info) if display_currency else None)

        # What a limit leaves out is subtracted by day.
        bucket = DAILY if display and limit else granularity.value

        async def read(answering: ResolvedGenerations) -> tuple[Rows, Rows]:
            part = partial(series_of, data, question, answering, cost_basis, granularity=bucket)
            own = part(groups, order=order_by.value, each=limit, display=None if limit else display)
            return await asyncio.gather(own, part(Grouping())) if limit else (await own, [])

        answering, (rows, totals) = await data.answered(question, read)
        left_out = rest(totals, rows)
        if display is not None:
            await display.series([*rows, *left_out], granularity.value, question.start)
        other: list[Any] = [_over_time(row) for row in left_out]
        series: list[Any] = [_series(row) for row in rows]
        return CostTrends(series=series, other=other, **freshness_fields(answering, display))


def grouping(
    dimensions: list[Dimension] | None, tag: str | None, tags: list[str] | None, *, in_any_case: bool
) -> Grouping:
    """What sums are told apart by, from the arguments of a field.

    Raises:
        InvalidArgument: these are too many tags.
    """
    if len(tags or ()) > MAX_TAGS:
        raise InvalidArgument(f"groupByTags: {len(tags or ())} are not accepted", f"Use at most {MAX_TAGS}.")
    return Grouping(frozenset(one.value for one in dimensions or ()), tag, tuple(tags or ()), in_any_case)


def check_limit(limit: int) -> None:
    """Raise InvalidArgument unless `limit` is 1 to `MAX_SERIES`."""
    if not 1 <= limit <= MAX_SERIES:
        raise InvalidArgument(f"limit: {limit} is not accepted", f"Use 1 to {MAX_SERIES}.")


def group_fields(row: dict[str, Any]) -> dict[str, Any]:
    """The fields of `Grouped` from a row of `cost_series.series_of`."""
    values = {name: row.get(name) or None for name in _DIMENSIONS}
    return {**values, "billing_period": values["period"], "tag": row.get("tag"), "tags": row.get("tags")}


def _selected(info: Info) -> frozenset[str]:
    """The names of the fields that are selected of series, and of what they leave out."""
    # Imported here: other questions of costs need it as little as most of those that are asked here.
    from optiinfra_api.fields.selected_fields import selected_names

    return selected_names("series", info) | selected_names("other", info)


_DIMENSIONS = tuple(one.value for one in Dimension)


def _series(row: dict[str, Any]) -> Any:
    """The fields of `CostSeries` from a row of `cost_series.series_of`; see `graphql.row_execution`."""
    return {**group_fields(row), **_over_time(row)}


def _over_time(row: dict[str, Any]) -> Any:
    columns = {name: row[name] for name in ("currency", "dates", "amounts")}
    return {**columns, **converted_columns(row), **sum_of(row)}
