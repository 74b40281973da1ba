"""How budgets stand: exact costs of the days that are final, and the forecast of the others."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any, Final

import numpy as np

from optiinfra_api.access.context import CustomerData
from optiinfra_api.fields.costs.arguments import CostBasis
from optiinfra_api.fields.costs.cost_series import series
from optiinfra_api.fields.insights.forecasting import ForecastAnswer, ForecastGroup, ForecastQuery, forecast_answer
from optiinfra_api.reading.cost_query import CostQuery, TagCondition, validated
from optiinfra_assets.analytics.budgets import BudgetStatus, Outlook, budget_status
from optiinfra_assets.analytics.cost_history import NOTES, Method
from optiinfra_assets.domain.budgets import DIMENSIONS, Budget
from optiinfra_assets.domain.day_span import DaySpan
from optiinfra_assets.domain.exact_amounts import EXACT
from optiinfra_assets.domain.publications import ResolvedGenerations
from optiinfra_assets.metadata.budgets import StoredBudget

_SPAN: Final = "budget"
_TOO_FAR: Final = "The budget ends later than costs are forecast, 13 months ahead."
_DONE: Final = "The budget is over, and its costs are final."
_NOTHING: Final = "No charge matched the budget so far, so nothing is forecast."


@dataclass(frozen=True)
class BudgetStanding:
    """How a budget stands in a period.

    Attributes:
        status: with a forecast if `has_forecast`.
        reason: what to know of the forecast.
    """

    stored: StoredBudget
    period: DaySpan
    status: BudgetStatus
    has_forecast: bool
    reason: str
    answer: ForecastAnswer
    resolved: ResolvedGenerations | None


async def budget_standing(
    data: CustomerData, stored: StoredBudget, now: datetime, as_of: datetime | None
) -> BudgetStanding | None:
    """Return how a budget stands at `as_of`, or `now`; None: it has no period then.

    Raises:
        ApiError: as `costTrends` and `forecast` do.
    """
    budget = stored.budget
    instant = as_of or now
    period = budget.period(instant.date())
    if period is None:
        return None
    questions = [_question(budget, one, None, as_of) for one in budget.filters or ({},)]
    asked = ForecastQuery(questions[0], CostBasis(budget.cost_basis), instant, others=tuple(questions[1:]))
    answer = await forecast_answer(data, asked, lambda first: _spans(first, period))
    spent, resolved = await _spent(data, budget, period, answer, instant, as_of)
    group = answer.groups[0] if answer.groups else None
    outlook, reason = _outlook(group, period, answer)
    status = budget_status(budget.amount_of(period), spent, outlook or Outlook(period.end, (), None, None))
    return BudgetStanding(stored, period, status, outlook is not None, reason, answer, resolved)


def _question(budget: Budget, chosen: Mapping[str, Any], period: DaySpan | None, as_of: datetime | None) -> CostQuery:
    filters = {name: chosen.get(name) for name in DIMENSIONS}
    tag = chosen.get("tag")
    return validated(
        (period.start, period.end) if period else None,
        as_of,
        tags=[TagCondition(tag["key"], tuple(tag["values"]))] if tag else (),
        currency=[budget.currency],
        **filters,
    )


def _spans(first: date, period: DaySpan) -> dict[str, DaySpan]:
    begin = min(max(first, period.start), period.end - timedelta(days=1))
    return {_SPAN: DaySpan(begin, period.end)}


async def _spent(
    data: CustomerData,
    budget: Budget,
    period: DaySpan,
    answer: ForecastAnswer,
    instant: datetime,
    as_of: datetime | None,
) -> tuple[list[tuple[date, Decimal]], ResolvedGenerations | None]:
    """Exact costs of the days that are final, by day: those of each account to its last final one."""
    end = min(period.end, instant.date() + timedelta(days=1))
    if end <= period.start:
        return [], None
    days: dict[date, Decimal] = {}
    resolved = None
    for chosen in budget.filters or ({},):
        question = _question(budget, chosen, DaySpan(period.start, end), as_of)
        resolved, rows = await series(
            data, question, CostBasis(budget.cost_basis), group_by={"account"}, granularity="daily"
        )
        for row in rows:
            last = answer.finals.get(row["account"], instant.date())
            for text, amount in zip(row["dates"], row["amounts"], strict=True):
                day = date.fromisoformat(text)
                if last is not None and day <= last:
                    days[day] = EXACT.add(days.get(day, Decimal(0)), Decimal(amount))
    return sorted(days.items()), resolved


def _outlook(group: ForecastGroup | None, period: DaySpan, answer: ForecastAnswer) -> tuple[Outlook | None, str]:
    """What is expected of the days to come, None if nothing can be told; and what to know of that."""
    if group is None:
        return None, _NOTHING
    found, node = group.forecast, group.node
    if group.first_day >= period.end:
        return Outlook(period.end, (), None, None), _DONE
    if found.methods[node] is Method.NONE:
        return None, NOTES[Method.NONE]
    if found.days.dates[-1] < np.datetime64(period.end, "D") - 1:
        return None, _TOO_FAR
    span = found.totals[_SPAN].span
    within = (found.days.dates >= np.datetime64(span.start, "D")) & (found.days.dates < np.datetime64(span.end, "D"))
    daily = np.sum([values[node, within] for values in found.parts.values()], axis=0)
    within_80, within_95 = found.bounds(_SPAN, node, after_credits=True)
    days = tuple(found.amount(one) for one in daily)
    return Outlook(span.start, days, within_80, within_95), NOTES[found.methods[node]]
