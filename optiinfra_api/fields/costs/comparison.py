"""compareCosts: what moved from one period to another, and whether it was the price or the usage."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from enum import Enum
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Final

import strawberry

from optiinfra_api.access.context import CustomerData, Info
from optiinfra_api.fields.arguments import AsOf, CustomerId
from optiinfra_api.fields.costs.arguments import (
    Basis,
    CostBasis,
    DisplayCurrency,
    Filter,
    Period,
    PeriodAsked,
    cost_query,
)
from optiinfra_api.fields.costs.cost_series import Grouping, check_groups, cost_columns, series_of
from optiinfra_api.fields.costs.money import (
    Conversion,
    ConversionMethod,
    ConvertedMoney,
    Money,
    Published,
    converted_sum,
    freshness_fields,
)
from optiinfra_api.fields.costs.trends import (
    GroupBy,
    GroupByTag,
    GroupByTags,
    Grouped,
    IgnoreTagCase,
    check_limit,
    group_fields,
    grouping,
)
from optiinfra_api.fields.selected_fields import selected_names
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import Count, DecimalText, decimal_text
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_assets.analytics.comparison import EffectGap, GroupCost, Movement, Quantity, Values, compare
from optiinfra_assets.domain.charge_filters import LINE_ITEMS
from optiinfra_assets.domain.exact_amounts import exact_difference
from optiinfra_assets.domain.publications import ResolvedGenerations

if TYPE_CHECKING:
    from optiinfra_api.reading.conversion import Display

MOST_GROUPS: Final = 20_000
"""Groups of one period that are compared."""
DEFAULT_LIMIT: Final = 50

Row = dict[str, Any]
_Group = tuple[str, Values]


@strawberry.enum(description="Why price and usage effect are not known.")
class WhyNoEffect(Enum):
    QUANTITY_MISSING = described(
        EffectGap.QUANTITY_MISSING.value, "Line items have no pricing quantity, or it is zero in all."
    )
    UNIT_MISSING = described(EffectGap.UNIT_MISSING.value, "Line items have a pricing quantity without a unit.")
    UNITS_DIFFER = described(EffectGap.UNITS_DIFFER.value, "Line items have different pricing units.")


@strawberry.interface(
    description="How costs in one currency changed. Price effect (change of the unit price x old quantity) and usage effect (change of "
    "the quantity x new unit price) add up to the difference. The unit price is cost by pricing quantity of all line items together: group "
    "by SKU, so that another mix of SKUs is not taken for another price. In the display currency both are at the mean rate of the period "
    "before, of all its charges in the currency; with the exchange effect they add up to the converted difference."
)
class Compared:
    currency: str = strawberry.field(description="Currency of the amounts.")
    before: Money = strawberry.field(description="Cost in the period that is compared with.")
    after: Money = strawberry.field(description="Cost in the asked period.")
    difference: Money = strawberry.field(description="`after` less `before`.")
    line_items_before: Count = strawberry.field(description="Line items in `before`.")
    line_items_after: Count = strawberry.field(description="Line items in `after`.")
    unpriced_line_items: Count = strawberry.field(
        description="Line items of both periods that have no price in the asked cost basis (LIST or CONTRACTED) and count as nothing."
    )
    price_effect: Money | None = strawberry.field(
        description="What the change of the unit price makes of the difference; of something new or gone nothing. Null: not known."
    )
    usage_effect: Money | None = strawberry.field(
        description="What the change of the quantity makes of the difference. Null: not known."
    )
    exchange_effect: ConvertedMoney | None = strawberry.field(
        description="What moves of exchange rates make of the converted difference. Null: no display currency is asked."
    )
    why_no_effect: WhyNoEffect | None = strawberry.field(
        description="Why the effects are null, for one of the groups at least."
    )


@strawberry.type(
    description="How the costs of one group changed, or of all groups in one currency that `limit` leaves out."
)
class ComparedGroup(Compared, Grouped):
    is_other: bool = strawberry.field(description="These are all groups that `limit` leaves out, as one.")
    groups: Count = strawberry.field(description="How many groups these are: one, unless isOther.")
    share: DecimalText | None = strawberry.field(
        description="Of the difference of all groups in the currency: 0.25 is a quarter; below 0 or above 1 where others moved the "
        "other way. Rounded to 18 digits. Null: all together did not move."
    )
    is_new: bool = strawberry.field(description="There are line items in the asked period only.")
    is_gone: bool = strawberry.field(description="There are line items in the period before only.")


@strawberry.type(description="How all costs in one currency changed.")
class ComparedTotal(Compared):
    groups: Count = strawberry.field(description="How many groups there are.")


@strawberry.type(
    description="Two periods compared. Its freshness is that of both: `dataThrough` the earlier, `publishedAt` the later; the total of its "
    "conversion is that of the differences."
)
class CostComparison(Published):
    totals: list[ComparedTotal] = strawberry.field(description="By currency; empty if nothing was charged.")
    groups: list[ComparedGroup] = strawberry.field(
        description="By currency, then the largest movement first, up or down, and at the end what `limit` leaves out. In each currency "
        "their differences add up to that of the total exactly."
    )


With = Annotated[
    Period,
    strawberry.argument(name="with", description="UTC days that `period` is compared with, such as those before."),
]
Limit = Annotated[
    int,
    strawberry.argument(
        description=f"Groups of each currency, 1 to 1000; the rest are one more. Default: {DEFAULT_LIMIT}."
    ),
]


@strawberry.type
class CompareCostsQuery:
    @resolved("What moved from one period to another, the largest movement first.")
    async def compare_costs(
        self,
        info: Info,
        period: PeriodAsked,
        with_: With,
        customer_id: CustomerId = None,
        group_by: GroupBy = None,
        group_by_tag: GroupByTag = None,
        group_by_tags: GroupByTags = None,
        ignore_tag_case: IgnoreTagCase = False,
        filter: Filter = None,
        cost_basis: Basis = CostBasis.BILLED,
        limit: Limit = DEFAULT_LIMIT,
        as_of: AsOf = None,
        display_currency: DisplayCurrency = None,
    ) -> CostComparison | None:
        questions = [cost_query(days, filter, as_of) for days in (with_, period)]
        groups = grouping(group_by, group_by_tag, group_by_tags, in_any_case=ignore_tag_case)
        check_limit(limit)
        data = await info.context.data_of(customer_id)
        selected = selected_names("groups", info) | selected_names("totals", info)
        asks_effects = not _EFFECTS.isdisjoint(selected)
        earlier, later = await asyncio.gather(
            *(
                _read(data, question, cost_basis, groups, data.display(display_currency), with_effects=asks_effects)
                for question in questions
            )
        )
        at_mean_rate = not _CONVERTED_EFFECTS.isdisjoint(selected)
        found = compare(earlier.costs, later.costs, limit, at_mean_rate=at_mean_rate)
        totals: list[Any] = [_compared(one.total, earlier, later) | {"groups": one.total.groups} for one in found]
        parts: list[Any] = [_group(part, groups, earlier, later) for one in found for part in one.parts]
        return CostComparison(totals=totals, groups=parts, **_freshness(earlier, later))


_EFFECTS: Final = frozenset({"priceEffect", "usageEffect", "whyNoEffect"})
_CONVERTED_EFFECTS: Final = frozenset({"priceEffect", "usageEffect", "exchangeEffect"})


@dataclass(slots=True)
class _Read:
    """What was read of one period.

    Attributes:
        costs: of each group.
        converted: the fields of `ConvertedMoney` of each group, if a display currency is asked.
    """

    answering: ResolvedGenerations
    costs: dict[_Group, GroupCost]
    converted: dict[_Group, Row]
    display: Display | None


async def _read(
    data: CustomerData,
    question: CostQuery,
    basis: CostBasis,
    groups: Grouping,
    display: Display | None,
    *,
    with_effects: bool,
) -> _Read:
    """What each group cost on the days of `question`; line items are read for the effects alone, and days for another currency alone."""

    async def rows(answering: ResolvedGenerations) -> tuple[list[Row], list[Row]]:
        part = partial(series_of, data, question, answering, basis, groups, most=MOST_GROUPS)
        is_asked = display is not None or not with_effects
        sums = part(granularity="whole", display=display) if is_asked else _nothing()
        used = _quantities(data, question, answering, basis, groups) if with_effects else _nothing()
        return await asyncio.gather(sums, used)

    answering, (sums, used) = await data.answered(question, rows)
    if display is not None:
        await display.series(sums, "whole", question.start)
    by_group = {_key(row, groups): row for row in used}
    costs = {key: _cost(row) for key, row in by_group.items()}
    for row in sums:
        costs[_key(row, groups)] = _cost(row | by_group.get(_key(row, groups), {}))
    converted = {_key(row, groups): row["converted"] for row in sums if display}
    return _Read(answering, costs, converted, display)


async def _nothing() -> list[Row]:
    return []


async def _quantities(
    data: CustomerData, question: CostQuery, answering: ResolvedGenerations, basis: CostBasis, groups: Grouping
) -> list[Row]:
    rows = await data.groups(
        "cost_quantities",
        question,
        answering,
        **groups.values(LINE_ITEMS),
        **cost_columns(basis),
        limit=MOST_GROUPS + 1,
    )
    check_groups(rows, MOST_GROUPS)
    return [groups.of_row({name.removesuffix("_group"): value for name, value in row.items()}) for row in rows]


def _key(row: Mapping[str, Any], groups: Grouping) -> _Group:
    """The currency and the values of a group; a list of those of several tags as a tuple."""
    return row["currency"], tuple(tuple(row[name]) if name == "tags" else row[name] for name in groups.names)


def _cost(row: Mapping[str, Any]) -> GroupCost:
    quantity = None
    if "quantity" in row:
        quantity = Quantity(
            Decimal(row["quantity"]), frozenset(row["units"]), row["without_quantity"], row["without_unit"]
        )
    amount = row["converted"]["amount"] if "converted" in row else None
    converted = None if amount is None else Decimal(amount)
    return GroupCost(Decimal(row["total"]), row["line_items"], row["unpriced_line_items"], quantity, converted)


def _group(part: Movement, groups: Grouping, earlier: _Read, later: _Read) -> Any:
    """The fields of `ComparedGroup`; see `graphql.row_execution`."""
    values: dict[str, Any] = dict(zip(groups.names, part.values or (), strict=False))
    if "tags" in values:
        values["tags"] = list(values["tags"])
    return {
        **_compared(part, earlier, later),
        **group_fields(values),
        "is_other": part.values is None,
        "groups": part.groups,
        "share": None if part.share is None else decimal_text(part.share),
        "is_new": not part.before.line_items,
        "is_gone": not part.after.line_items,
    }


def _compared(moved: Movement, earlier: _Read, later: _Read) -> dict[str, Any]:
    """The fields of `Compared`."""

    def money(amount: Decimal | None, converted: Row | None = None) -> Row | None:
        if amount is None:
            return None
        return {"amount": decimal_text(amount), "currency": moved.currency, "converted": converted}

    def shown(amount: Decimal | None, of: _Read | None = None) -> Row | None:
        own = of.converted.get((moved.currency, moved.values)) if of and moved.values is not None else None
        return own or converted_sum(amount, later.display)

    return {
        "currency": moved.currency,
        "before": money(moved.before.cost, shown(moved.before.converted, earlier)),
        "after": money(moved.after.cost, shown(moved.after.converted, later)),
        "difference": money(moved.difference, shown(moved.converted_difference)),
        "line_items_before": moved.before.line_items,
        "line_items_after": moved.after.line_items,
        "unpriced_line_items": moved.before.unpriced + moved.after.unpriced,
        "price_effect": money(moved.price_effect, shown(moved.price_at_mean_rate)),
        "usage_effect": money(moved.usage_effect, shown(moved.usage_at_mean_rate)),
        "exchange_effect": shown(moved.exchange_effect),
        "why_no_effect": moved.gap and moved.gap.name,
    }


def _freshness(earlier: _Read, later: _Read) -> dict[str, Any]:
    """The fields of `Published` for an answer from both."""
    both = [freshness_fields(earlier.answering), freshness_fields(later.answering)]
    reached = [one["data_through"] for one in both if one["data_through"]]
    published: list[datetime] = [one["published_at"] for one in both if one["published_at"]]
    return {
        "conversion": _conversion(later.display, earlier.display),
        "data_through": min(reached) if len(reached) == len(both) else None,
        "is_complete": all(one["is_complete"] for one in both),
        "published_at": max(published, default=None),
        "is_simulated": any(one["is_simulated"] for one in both),
    }


def _conversion(display: Display | None, other: Display | None) -> Conversion | None:
    """How two answers were converted, with the total of the first less that of the second; None if a display currency is not asked."""
    if display is None or other is None:
        return None
    total = None
    if display.total is not None and other.total is not None:
        total = decimal_text(exact_difference(display.total, other.total))
    warnings = [*other.warnings, *(one for one in display.warnings if one not in other.warnings)]
    return Conversion(
        currency=display.currency,
        method=ConversionMethod(str(display.method)),
        total=total,
        warnings=warnings,
    )
