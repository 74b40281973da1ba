"""forecast: what costs will be, each day and in sums of days, with bounds that say how often they held."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any, Final

import numpy as np
import strawberry

from optiinfra_api.access.context import CustomerData, Info
from optiinfra_api.fields.arguments import AsOf, CustomerId
from optiinfra_api.fields.costs import cost_series
from optiinfra_api.fields.costs.arguments import Basis, CostBasis, CostFilter, Filter, Period, cost_query
from optiinfra_api.fields.costs.money import Money, Published
from optiinfra_api.fields.costs.trends import (
    GroupBy,
    GroupByTag,
    GroupByTags,
    Grouped,
    IgnoreTagCase,
    group_fields,
    grouping,
)
from optiinfra_api.fields.insights.forecast_overrides import ForecastOverride
from optiinfra_api.fields.insights.forecasting import ForecastAnswer, ForecastQuery, forecast_answer
from optiinfra_api.graphql.enums import described
from optiinfra_api.graphql.errors import InvalidArgument
from optiinfra_api.graphql.resolvers import resolved
from optiinfra_api.graphql.scalars import DateColumn, DateText, DecimalColumn, DecimalText, decimal_text
from optiinfra_api.reading.cost_query import CostQuery
from optiinfra_assets.analytics.bounds import LEVELS
from optiinfra_assets.analytics.charge_parts import CostPart
from optiinfra_assets.analytics.cost_history import NOTES, Method
from optiinfra_assets.analytics.forecast import Forecast
from optiinfra_assets.analytics.forecast_groups import ForecastGroup, TagName

MOST_DAYS: Final = 366
_USUAL_DAYS: Final = 92
_AMOUNT_BYTES: Final = 12
_EMPTY: Final = (
    "Nothing is published that the filter leaves, so nothing is forecast. See `optiinfra status` for what is collected."
)


_NO_INVOICE: Final = (
    "Charges to come have no invoice yet, so nothing is forecast of the invoices that the filter names."
)


@strawberry.enum(description="How the figures of a forecast came about.")
class ForecastMethod(Enum):
    MODEL = described(Method.MODEL.name, "From the pattern of past costs, with bounds.")
    RUN_RATE = described(Method.RUN_RATE.name, "The mean of less than two weeks of costs, without bounds.")
    NONE = described(Method.NONE.name, "There is no final day of costs, so nothing is forecast.")


@strawberry.enum(description="A part of costs, by columns of FOCUS.")
class ForecastPart(Enum):
    USAGE = described(CostPart.USAGE.name, "What is used from day to day.")
    RECURRING = described(CostPart.RECURRING.name, "What is charged again and again, such as commitments.")
    SUPPORT = described(CostPart.SUPPORT.name, "Support, as a ratio of what it is charged on.")
    TAX = described(CostPart.TAX.name, "Tax, as a ratio of what it is charged on.")
    CREDITS = described(CostPart.CREDITS.name, "Credits: 0 or below.")


@strawberry.enum(description="Days whose sum is forecast; from the first day that is not final.")
class ForecastSpan(Enum):
    REST_OF_MONTH = described("REST_OF_MONTH", "The rest of this month, and of the one before if that is not final.")
    NEXT_MONTH = described("NEXT_MONTH", "The month after this one.")
    DAYS_90 = described("DAYS_90", "90 days.")
    MONTHS_12 = described("MONTHS_12", "12 months.")


@strawberry.type(description="An interval that a sum of days is expected to lie in.")
class ForecastBounds:
    level: int = strawberry.field(description="How often it should, in percent: 80 or 95.")
    lower: DecimalText = strawberry.field(description="Its lower end; never negative where the sum is not.")
    upper: DecimalText = strawberry.field(description="Its upper end.")
    coverage: DecimalText | None = strawberry.field(
        description="How often such bounds held in back-tests of this group, from 0 to 1. Null: there were too few days."
    )
    coverage_of_all: DecimalText | None = strawberry.field(
        description="The same over all series of the customer in this currency."
    )


@strawberry.type(description="What a sum of days is expected to be.")
class ForecastEstimate:
    expected: Money = strawberry.field(description="In whole subunits of the currency; children add up to parents.")
    bounds: list[ForecastBounds] = strawberry.field(
        description="Of this very sum: bounds of days do not add up to it. Empty: none can be told, see `method`."
    )


@strawberry.type(description="A part of a sum of days.")
class ForecastPartAmount:
    part: ForecastPart = strawberry.field(description="Which.")
    amount: DecimalText = strawberry.field(description="What it is expected to be.")


@strawberry.type(description="What days will cost together, of those that are not final.")
class ForecastTotal:
    span: ForecastSpan = strawberry.field(description="Which days.")
    start: DateText = strawberry.field(description="The first of them.")
    end: DateText = strawberry.field(description="The day after the last.")
    before_credits: ForecastEstimate = strawberry.field(description="Without credits: what the run-rate is.")
    after_credits: ForecastEstimate = strawberry.field(description="With credits: what is to be paid.")
    parts: list[ForecastPartAmount] = strawberry.field(description="What it is made of; they add up to `afterCredits`.")


@strawberry.type(description="A part of the costs of each day.")
class ForecastPartSeries:
    part: ForecastPart = strawberry.field(description="Which.")
    amounts: DecimalColumn = strawberry.field(description="What each of `dates` is expected to bring of it.")


@strawberry.type(description="How far the costs of an account are final.")
class FinalDays:
    account: str = strawberry.field(description="Account id of this platform.")
    last_day: DateText | None = strawberry.field(
        description="The last day whose costs are final; those of later days are forecast. Null: no day is."
    )


@strawberry.type(description="The forecast of one group in one currency. What is not grouped by, or lacking, is null.")
class ForecastSeries(Grouped):
    currency: str = strawberry.field(description="Currency of the amounts, as the provider bills.")
    method: ForecastMethod = strawberry.field(description="How the figures came about.")
    reason: str = strawberry.field(description="What to know of that, in a sentence.")
    error_percent: DecimalText | None = strawberry.field(
        description="Back-tested error of 28 days of use: the mean sMAPE in percent. Null: there were too few days."
    )
    totals: list[ForecastTotal] = strawberry.field(description="Sums of days.")
    dates: DateColumn = strawberry.field(description="The days that are forecast, from the first that is not final.")
    before_credits: DecimalColumn = strawberry.field(description="What each day is expected to cost without credits.")
    after_credits: DecimalColumn = strawberry.field(description="The same with credits.")
    lower80: DecimalColumn | None = strawberry.field(description="Lower ends of 80 % bounds of days before credits.")
    upper80: DecimalColumn | None = strawberry.field(description="Their upper ends.")
    lower95: DecimalColumn | None = strawberry.field(description="Lower ends of 95 % bounds of days before credits.")
    upper95: DecimalColumn | None = strawberry.field(description="Their upper ends.")
    final_days: list[FinalDays] = strawberry.field(
        description="How far the costs of each of its accounts are final. Days that are final for some have the forecast of the others."
    )
    parts: list[ForecastPartSeries] = strawberry.field(
        description="What days are made of; they add up to `afterCredits`."
    )
    actual_dates: DateColumn = strawberry.field(
        description="Days with charges as they are published now: from the first of the month of the forecast's first day on."
    )
    actual_amounts: DecimalColumn = strawberry.field(
        description="What each of `actualDates` costs, exact and with credits; days after `actualThrough` may still rise."
    )

    @classmethod
    def is_type_of(cls, _row: object, _info: object) -> bool:
        """Series are rows, see `graphql.row_execution`; what has an interface is asked whether it is one."""
        return True


@strawberry.type(description="What costs will be.")
class CostForecast(Published):
    made_at: datetime = strawberry.field(description="When this was forecast. Later publications are not in it.")
    actual_through: datetime | None = strawberry.field(
        description="What came is complete up to this instant, exclusive."
    )
    reason: str | None = strawberry.field(description="Why there is no series; null if there is one.")
    series: list[ForecastSeries] = strawberry.field(description="By currency, then the largest first; at most 1000.")
    final_days: list[FinalDays] = strawberry.field(
        description="How far the costs of each account of `series` are final, by account."
    )
    overrides: list[ForecastOverride] = strawberry.field(
        description="What people expect of months instead, of any series of the customer; it is in the figures."
    )


Days = Annotated[
    int,
    strawberry.argument(description=f"How many days the columns have, 1 to {MOST_DAYS}. Default: {_USUAL_DAYS}."),
]


def check_forecast_days(days: int) -> int:
    """Return a number of days, checked.

    Raises:
        InvalidArgument: it is not 1 to `MOST_DAYS`.
    """
    if not 1 <= days <= MOST_DAYS:
        raise InvalidArgument(f"forecastDays: {days} is not accepted", f"Use 1 to {MOST_DAYS}.")
    return days


@strawberry.type
class ForecastQueryField:
    @resolved("What costs will be: each day and in sums of days, with bounds, before and after credits.")
    async def forecast(
        self,
        info: Info,
        customer_id: CustomerId = None,
        filter: Filter = None,
        group_by: GroupBy = None,
        group_by_tag: GroupByTag = None,
        cost_basis: Basis = CostBasis.BILLED,
        forecast_days: Days = _USUAL_DAYS,
        as_of: AsOf = None,
        group_by_tags: GroupByTags = None,
        ignore_tag_case: IgnoreTagCase = False,
    ) -> CostForecast | None:
        check_forecast_days(forecast_days)
        question = cost_query(None, filter, as_of)
        groups = grouping(group_by, group_by_tag, group_by_tags, in_any_case=ignore_tag_case)
        data = await info.context.data_of(customer_id)
        now = data.services.clock()
        asked = forecast_query(question, cost_basis, as_of or now, groups)
        answer = await forecast_answer(data, asked)
        came, through = await _came(data, asked, answer, groups, filter, now)
        data.count(len(answer.groups), len(answer.groups) * forecast_days * 11 * _AMOUNT_BYTES)
        return CostForecast(
            series=[series_of(one, forecast_days, groups, came) for one in answer.groups],
            reason=None if answer.groups else _NO_INVOICE if question.invoices else _EMPTY,
            final_days=final_days(answer.groups),
            overrides=[ForecastOverride.of(one) for one in answer.overrides],
            made_at=answer.made.made_at,
            actual_through=through,
            data_through=answer.made.data_through,
            is_complete=False,
            published_at=answer.made.published_at,
            is_simulated=answer.made.is_simulated,
        )


_SPANS: Final = {
    "rest of month": "REST_OF_MONTH",
    "next month": "NEXT_MONTH",
    "90 days": "DAYS_90",
    "12 months": "MONTHS_12",
}
"""A sum of days of `usual_spans` -> the name of its value: rows hold names, see `graphql.row_execution`."""
Came = Mapping[tuple[Any, ...], tuple[list[str], list[str]]]


async def _came(
    data: CustomerData,
    asked: ForecastQuery,
    answer: ForecastAnswer,
    groups: cost_series.Grouping,
    filter_: CostFilter | None,
    now: datetime,
) -> tuple[Came, datetime | None]:
    """The published costs of each group since the month began in which the forecast does, and how far they reach."""
    if not answer.groups:
        return {}, None
    first = min(one.first_day for one in answer.groups).replace(day=1)
    period = Period(start=first, end=max(now.date(), first) + timedelta(days=1))
    question = cost_query(period, filter_, None)
    found = await data.resolve(question)
    rows = await cost_series.series_of(data, question, found, asked.basis, groups, granularity="daily")
    return {_group_of(row): (row["dates"], row["amounts"]) for row in rows}, found.data_through


def _group_of(row: Mapping[str, Any]) -> tuple[Any, ...]:
    return row["currency"], *(repr(value) for _, value in sorted(group_fields(dict(row)).items()))


def forecast_query(
    question: CostQuery, basis: CostBasis, as_of: datetime, groups: cost_series.Grouping
) -> ForecastQuery:
    """Return the question for a forecast whose groups are those of costs."""
    names = (*(() if groups.tag is None else (groups.tag,)), *groups.tags)
    tags = tuple(TagName(name, groups.in_any_case) for name in names)
    return ForecastQuery(question, basis, as_of, groups.dimensions, tags)


def series_of(group: ForecastGroup, count: int, groups: cost_series.Grouping, came: Came) -> Any:
    """The fields of `ForecastSeries`; see `graphql.row_execution`."""
    found, node = group.forecast, group.node
    begin = int(np.searchsorted(found.days.dates, np.datetime64(group.first_day, "D")))
    within = slice(begin, begin + count)
    parts = {part: values[node, within] for part, values in found.parts.items()}
    after = np.sum(list(parts.values()), axis=0)
    before = after - parts[CostPart.CREDITS]
    row: dict[str, Any] = {name: getattr(group.key, name) for name in groups.dimensions}
    tags = list(group.key.tags)
    row["tag"] = tags.pop(0) if groups.tag is not None else None
    row |= {"tags": tags if groups.tags else None, "currency": group.currency}
    dates, amounts = came.get(_group_of(row), ([], []))
    return {
        **group_fields(row),
        "currency": group.currency,
        "method": found.methods[node].name,
        "reason": NOTES[found.methods[node]],
        "error_percent": _figure(found.error[node], 2),
        "totals": [_total(group, name) for name in found.totals],
        "dates": [str(day) for day in found.days.dates[within]],
        "before_credits": _column(found, before),
        "after_credits": _column(found, after),
        **_bounds_of_days(found, node, within, before),
        "final_days": final_days([group]),
        "parts": [{"part": part.name, "amounts": _column(found, values)} for part, values in parts.items()],
        "actual_dates": dates,
        "actual_amounts": amounts,
    }


def final_days(groups: Iterable[ForecastGroup]) -> Any:
    """The fields of `FinalDays` of all accounts of some groups."""
    found = {account: day for group in groups for account, day in group.finals.items()}
    return [{"account": account, "last_day": day and day.isoformat()} for account, day in sorted(found.items())]


def _column(found: Forecast, subunits: Any) -> list[str]:
    return [decimal_text(found.amount(one)) for one in subunits]


def _bounds_of_days(found: Forecast, node: int, within: slice, before: Any) -> dict[str, Any]:
    half = found.half[node, within]
    named: dict[str, Any] = {}
    for place, level in enumerate(LEVELS):
        ends: tuple[Any, Any] = (None, None)
        if not np.isnan(half[:, place]).any():
            distance = np.rint(half[:, place] * 10**found.digits).astype(np.int64)
            lower = np.where(before >= 0, np.maximum(before - distance, 0), before - distance)
            ends = _column(found, lower), _column(found, before + distance)
        named[f"lower{level * 100:.0f}"], named[f"upper{level * 100:.0f}"] = ends
    return named


def _total(group: ForecastGroup, name: str) -> dict[str, Any]:
    found, node = group.forecast, group.node
    total = found.totals[name]
    return {
        "span": _SPANS.get(name, name),
        "start": max(total.span.start, group.first_day).isoformat(),
        "end": total.span.end.isoformat(),
        "before_credits": estimate(group, name, after_credits=False),
        "after_credits": estimate(group, name, after_credits=True),
        "parts": [
            {"part": part.name, "amount": decimal_text(found.amount(values[node]))}
            for part, values in total.parts.items()
        ],
    }


def estimate(group: ForecastGroup, name: str, *, after_credits: bool) -> dict[str, Any]:
    """The fields of `ForecastEstimate` for one sum of days of a group."""
    found, total = group.forecast, group.forecast.totals[name]
    ends = found.bounds(name, group.node, after_credits=after_credits)
    return {
        "expected": {
            "amount": decimal_text(found.total(name, group.node, after_credits=after_credits)),
            "currency": group.currency,
            "converted": None,
        },
        "bounds": [
            {
                "level": round(LEVELS[place] * 100),
                "lower": decimal_text(both[0]),
                "upper": decimal_text(both[1]),
                "coverage": _figure(total.covered[group.node, place], 3),
                "coverage_of_all": _figure(total.covered_of_all[place], 3),
            }
            for place, both in enumerate(ends)
            if both is not None
        ],
    }


def _figure(value: Any, digits: int) -> str | None:
    return None if np.isnan(value) else decimal_text(Decimal(f"{value:.{digits}f}"))
