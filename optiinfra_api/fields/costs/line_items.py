"""costMetrics: the stored line items, newest charge first, in pages by (charge period start, generation, line number)."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import cache
from typing import Any

import strawberry
from strawberry.utils.str_converters import to_camel_case

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import After, AsOf, CustomerId, First
from optiinfra_api.fields.costs.arguments import DisplayCurrency, Filter, PeriodAsked, cost_query
from optiinfra_api.fields.costs.line_item_type import LineItem
from optiinfra_api.fields.costs.money import Published, freshness_fields
from optiinfra_api.fields.pagination import PageInfo, Paginator, Position, Row
from optiinfra_api.fields.selected_fields import selected_names
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_assets.database import sql_files
from optiinfra_assets.domain.publications import MEASURES, ResolvedGenerations

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_POSITION = ("charge_period_start", "generation", "line_number")


@strawberry.type(description="A page of line items, newest charge first.")
class LineItems(Published):
    nodes: list[LineItem] = strawberry.field(description="The line items of this page.")
    page_info: PageInfo = strawberry.field(description="Whether there is more.")


@strawberry.type
class CostMetricsQuery:
    @resolved("Line items in the columns of FOCUS 1.4, newest charge first, in pages.")
    async def cost_metrics(
        self,
        info: Info,
        period: PeriodAsked,
        first: First,
        after: After = None,
        customer_id: CustomerId = None,
        filter: Filter = None,
        as_of: AsOf = None,
        display_currency: DisplayCurrency = None,
    ) -> LineItems | None:
        question = cost_query(period, filter, as_of)
        data = await info.context.data_of(customer_id)
        columns = _columns(info)
        display = data.display(display_currency)

        async def read(resolved: ResolvedGenerations, limit: int, after: Position | None) -> list[Row]:
            start, generation, line_number = after or (0, 0, 0)
            return await data.rows(
                "line_items",
                question,
                resolved,
                has_after=int(after is not None),
                after_start=datetime.fromtimestamp(start, UTC),
                after_generation=generation,
                after_line_number=line_number,
                limit=limit,
                columns=columns,
            )

        pages = Paginator(data, question, ("line items",), (datetime, int, int), _position, read)
        page = await pages.page(first, after)
        if display is not None:
            await display.charges(page.rows, MEASURES)
        return LineItems(
            nodes=[_with_money(row) for row in page.rows],
            page_info=page.info,
            **freshness_fields(page.resolved, display, is_page=True),
        )


def _columns(info: Info) -> frozenset[str]:
    """The columns of ``line_items.sql`` that the selected fields and the position of a page need."""
    selected = {name for camel in selected_names("nodes", info) if (name := _names().get(camel))}
    return frozenset({*selected, *_POSITION, "billing_currency"})


@cache
def _names() -> dict[str, str]:
    """The columns of ``line_items.sql`` by their names in the schema."""
    select = sql_files.read("clickhouse", "queries", "line_items.sql").partition("\nFROM ")[0]
    columns = [line.split()[-1].rstrip(",") for line in select.splitlines()[1:]]
    return {to_camel_case(one): one for one in columns}


def _with_money(row: dict[str, Any]) -> Any:
    """Return `row` with its four costs replaced by the fields of `Money`."""
    currency, converted = row["billing_currency"], row.pop("converted", {})
    for cost in MEASURES:
        if row.get(cost) is not None:
            row[cost] = {"amount": row[cost], "currency": currency, "converted": converted.get(cost)}
    return row


def _position(row: dict[str, Any]) -> tuple[int, int, int]:
    start = datetime.fromisoformat(row["charge_period_start"])
    return int((start - _EPOCH).total_seconds()), row["generation"], row["line_number"]
