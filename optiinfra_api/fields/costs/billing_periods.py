"""costsByBillingPeriod: what each month is invoiced with, beside what was used in it."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import strawberry

from optiinfra_api.access.context import Info
from optiinfra_api.fields.arguments import AsOf, CustomerId
from optiinfra_api.fields.costs.arguments import Basis, CostBasis, DisplayCurrency, Filter, Period, cost_query
from optiinfra_api.fields.costs.cost_series import Grouping, series_of
from optiinfra_api.fields.costs.money import Money, Published, converted_sum, freshness_fields
from optiinfra_api.fields.costs.trends import (
    GroupBy,
    GroupByTag,
    GroupByTags,
    Grouped,
    IgnoreTagCase,
    group_fields,
    grouping,
)
from optiinfra_api.fields.selected_fields import selected_names
from optiinfra_api.graphql.errors import InvalidArgument, TooExpensive
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import Count, decimal_text
from optiinfra_api.reading.cost_query import END_DAY, FIRST_DAY, MAX_DAYS, CostQuery
from optiinfra_assets.domain.accounts import BillingPeriod
from optiinfra_assets.domain.exact_amounts import exact_difference
from optiinfra_assets.domain.publications import ResolvedGenerations

if TYPE_CHECKING:
    from optiinfra_api.reading.conversion import Display

MOST_ROWS: Final = 5000
_MOST_MONTHS: Final = MAX_DAYS // 31
_SHOWN: Final = frozenset({"convertedAmounts"})
"""Of what a converted series has: the rates of months are shown as those of sums."""
_UNCONVERTED: Final = {"converted": None, "charged_converted": "0"}
_NOTHING: Final = {"total": "0", "line_items": 0, "unpriced_line_items": 0}

Row = dict[str, Any]


@strawberry.type(description="One month of one group in one currency; `billingPeriod` is the month.")
class BillingPeriodCost(Grouped):
    currency: str = strawberry.field(description="Currency of the amounts.")
    invoiced: Money = strawberry.field(
        description="Sum of the line items of the billing period, on whichever days their charges begin."
    )
    charged: Money = strawberry.field(
        description="Sum of the charges that begin in the month, whichever billing period they belong to: what costTrends shows."
    )
    difference: Money = strawberry.field(description="`invoiced` less `charged`.")
    line_items: Count = strawberry.field(description="Line items in `invoiced`.")
    unpriced_line_items: Count = strawberry.field(
        description="Line items in `invoiced` that have no price in the asked cost basis (LIST or CONTRACTED) and count as nothing."
    )
    is_final: bool = strawberry.field(
        description="The providers will not change the billing period any more, for any of the accounts that have it."
    )


@strawberry.type(description="Costs by billing period.")
class CostsByBillingPeriod(Published):
    months: list[BillingPeriodCost] = strawberry.field(
        description=f"By currency, then month, then the group; at most {MOST_ROWS}. Empty if nothing was charged."
    )


Month = Annotated[str, strawberry.argument(name="from", description="The first billing period, such as `2026-01`.")]
LastMonth = Annotated[str, strawberry.argument(name="to", description="The last billing period, inclusive.")]


@strawberry.type
class CostsByBillingPeriodQuery:
    @resolved("What each month is invoiced with, beside the charges that begin in it.")
    async def costs_by_billing_period(
        self,
        info: Info,
        from_: Month,
        to: LastMonth,
        customer_id: CustomerId = None,
        group_by: GroupBy = None,
        group_by_tag: GroupByTag = None,
        group_by_tags: GroupByTags = None,
        ignore_tag_case: IgnoreTagCase = False,
        filter: Filter = None,
        cost_basis: Basis = CostBasis.BILLED,
        as_of: AsOf = None,
        display_currency: DisplayCurrency = None,
    ) -> CostsByBillingPeriod | None:
        months = _months(from_, to)
        charged = cost_query(Period(start=months[0].start.date(), end=months[-1].end.date()), filter, as_of)
        if charged.billing_periods:
            raise InvalidArgument(
                "filter.billingPeriod: not accepted here", "Use from and to, which are billing periods."
            )
        invoiced = replace(charged, start=FIRST_DAY, end=END_DAY, billing_periods=tuple(map(str, months)))
        groups = grouping(group_by, group_by_tag, group_by_tags, in_any_case=ignore_tag_case)
        groups = replace(groups, dimensions=groups.dimensions - {_PERIOD})
        by_month = replace(groups, dimensions=groups.dimensions | {_PERIOD})
        data = await info.context.data_of(customer_id)

        displays = [data.display(display_currency, _SHOWN) for _ in range(2)]

        async def read(
            question: CostQuery, by: Grouping, granularity: str, display: Display | None
        ) -> tuple[ResolvedGenerations, list[Row]]:
            part = partial(
                series_of,
                data,
                question,
                basis=cost_basis,
                groups=by,
                granularity=granularity,
                most=MOST_ROWS,
                display=display,
            )
            answering, rows = await data.answered(question, lambda found: part(resolved=found))
            if display is not None:
                await display.series(rows, granularity, question.start)
            return answering, rows

        (own, of_months), (answering, series) = await asyncio.gather(
            read(invoiced, by_month, "whole", displays[0]), read(charged, groups, "monthly", displays[1])
        )
        rows = _rows(of_months, series, groups.names)
        if len(rows) > MOST_ROWS:
            raise TooExpensive(
                f"the answer would have more than {MOST_ROWS} rows", "Ask for fewer months, or group by less."
            )
        is_final = _final(own)
        has_difference = "difference" in selected_names("months", info)
        found: list[Any] = [
            _month(row, is_final.get(row[_PERIOD], False), displays[0], has_difference=has_difference) for row in rows
        ]
        return CostsByBillingPeriod(months=found, **freshness_fields(answering, displays[0]))


_PERIOD: Final = "period"


def _months(first: str, last: str) -> list[BillingPeriod]:
    """The billing periods from `first` to `last`.

    Raises:
        InvalidArgument: one of them is no month, or they are none, or too many.
    """
    bounds = []
    for name, text in (("from", first), ("to", last)):
        try:
            bounds.append(BillingPeriod.parse(text))
        except ValueError:
            raise InvalidArgument(f"{name}: {text!r} is not accepted", "Use a month such as 2026-11.") from None
    begin, end = bounds
    count = (end.year - begin.year) * 12 + end.month - begin.month + 1
    if not 1 <= count <= _MOST_MONTHS:
        remedy = f"Use 1 to {_MOST_MONTHS} months; to is the last of them."
        raise InvalidArgument(f"to: {last!r} is not accepted: from {first} these are {count} months", remedy)
    return [begin.shift(number) for number in range(count)]


def _rows(invoiced: list[Row], series: list[Row], names: tuple[str, ...]) -> list[Row]:
    """A row for each group, currency and month that has any line item, with the sums of both."""
    rows: dict[tuple[Any, ...], Row] = {}

    def at(row: Row, month: str) -> Row:
        group = {name: row[name] for name in names}
        key = (row["currency"], month, *(repr(value) for value in group.values()))
        empty = {**_NOTHING, **group, "currency": row["currency"], _PERIOD: month, "charged": "0", **_UNCONVERTED}
        return rows.setdefault(key, empty)

    for row in invoiced:
        at(row, row[_PERIOD]).update({name: row[name] for name in (*_NOTHING, "converted") if name in row})
    for row in series:
        amounts: list[str | None] = row["converted_amounts" if "converted_amounts" in row else "amounts"]
        for day, amount, converted in zip(row["dates"], row["amounts"], amounts, strict=True):
            at(row, day[: len("2026-11")]).update(charged=amount, charged_converted=converted)
    return [rows[key] for key in sorted(rows)]


def _month(row: Row, is_final: bool, display: Display | None, *, has_difference: bool) -> Row:
    """The fields of `BillingPeriodCost`; see `graphql.row_execution`."""
    amounts = {
        "invoiced": (row["total"], row["converted"] or converted_sum("0", display)),
        "charged": (row["charged"], converted_sum(row["charged_converted"], display)),
    }
    if has_difference:
        (invoiced, own), (charged, used) = amounts.values()
        difference = _less(own["amount"], used["amount"]) if own and used else None
        amounts["difference"] = (_less(invoiced, charged), converted_sum(difference, display))
    return {
        **group_fields(row),
        "currency": row["currency"],
        **{
            name: {"amount": amount, "currency": row["currency"], "converted": converted}
            for name, (amount, converted) in amounts.items()
        },
        "line_items": row["line_items"],
        "unpriced_line_items": row["unpriced_line_items"],
        "is_final": is_final,
    }


def _less(amount: str | None, other: str | None) -> str | None:
    """How much an amount is more than another one; None if one of them is not known."""
    if amount is None or other is None:
        return None
    return decimal_text(exact_difference(Decimal(amount), Decimal(other)))


def _final(answering: ResolvedGenerations) -> dict[str, bool]:
    """Whether each billing period is final in all accounts that have it."""
    found: dict[str, bool] = {}
    for one in answering.publications:
        month = str(one.slice.billing_period)
        found[month] = found.get(month, True) and one.is_final
    return found
